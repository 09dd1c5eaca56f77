// file_window: a file read forward, a few MiB at a time, never written, never mapped.
//
// A mapped file that its broker truncates would kill the reader; a read just comes back short. What was
// read is a slice and may be kept; the window's memory is used again when nobody kept any of it.
#pragma once

#include <cstdint>
#include <string>

#include "base/buffer.h"
#include "base/result.h"

namespace millrace::tools {

class file_window {
 public:
  static result<file_window> open(const std::string& path);
  file_window(file_window&& other) noexcept;
  file_window& operator=(file_window&&) = delete;
  ~file_window();

  const std::string& path() const noexcept { return path_; }
  // As it was when opened.
  uint64_t size() const noexcept { return size_; }
  // `bytes` from `at` on, or all there are.
  result<slice> read(uint64_t at, uint64_t bytes);

 private:
  file_window(std::string path, int descriptor, uint64_t size)
      : path_(std::move(path)), descriptor_(descriptor), size_(size) {}

  std::string path_;
  int descriptor_;
  uint64_t size_;
  slice window_;
  uint64_t window_at_ = 0;
};

}  // namespace millrace::tools
