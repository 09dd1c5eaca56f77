// output: standard output, buffered, where every failure is noticed.
//
// Data goes to standard output and nothing else does; messages go to standard error. When the reader
// has gone (`millrace consume … | head`) that is its choice and no failure: is_closed() turns true,
// later writes are dropped, and the verb stops quietly. Any other failure (a full disk behind a
// redirection) is an error that flush() returns.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::tools {

class output {
 public:
  explicit output(int descriptor) : descriptor_(descriptor) {}
  output(const output&) = delete;
  output& operator=(const output&) = delete;

  void write(std::string_view text) {
    buffer_.append(text);
    if (buffer_.size() >= flush_above_bytes) drain();
  }
  // Appending to it and then calling committed() saves a copy per record.
  std::string& buffer() noexcept { return buffer_; }
  void committed() {
    if (buffer_.size() >= flush_above_bytes) drain();
  }

  // Writes everything out. The error is the first that any write met.
  result<void> flush();

  // Nobody reads any more, or writing failed: producing more output is pointless.
  bool is_closed() const noexcept { return reader_gone_ || failure_errno_ != 0; }

 private:
  static constexpr size_t flush_above_bytes = 64 * 1024;
  void drain();

  int descriptor_;
  std::string buffer_;
  bool reader_gone_ = false;
  int failure_errno_ = 0;
};

}  // namespace millrace::tools
