// xxh3_stream: XXH3 of bytes that come piece by piece; the same as xxh3() of all of them in one.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace millrace {

class xxh3_stream {
 public:
  xxh3_stream();
  ~xxh3_stream();
  xxh3_stream(const xxh3_stream&) = delete;
  xxh3_stream& operator=(const xxh3_stream&) = delete;

  void reset();
  void add(bytes_view bytes);
  // Of all that was added since reset(); more may follow.
  uint64_t digest() const;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace millrace
