#include "tools/log/file_window.h"

#include <algorithm>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

namespace millrace::tools {

namespace {

// Stays in the processor's caches, and in malloc's hands: larger ones are mapped, and touched, anew each
// time.
constexpr uint64_t window_bytes = 512 << 10;

}  // namespace

result<file_window> file_window::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return fail(errc::io_error, "cannot open {}: {}", path, strerror(errno));
  struct stat status = {};
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    return fail(errc::io_error, "{} is no regular file", path);
  }
  posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
  return file_window(path, descriptor, static_cast<uint64_t>(status.st_size));
}

file_window::file_window(file_window&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_),
      window_(std::move(other.window_)),
      window_at_(other.window_at_) {}

file_window::~file_window() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

result<slice> file_window::read(uint64_t at, uint64_t bytes) {
  if (at >= size_) return slice();
  bytes = std::min(bytes, size_ - at);
  if (at >= window_at_ && at + bytes <= window_at_ + window_.size())
    return window_.sub(at - window_at_, bytes);

  const uint64_t wanted = std::min(std::max(bytes, window_bytes), size_ - at);
  buffer memory = window_.owner();
  window_ = slice();
  if (!memory.is_unique() || memory.capacity() < wanted)
    memory = buffer::allocate(std::max(wanted, window_bytes));
  uint64_t held = 0;
  while (held < wanted) {
    const ssize_t got =
        ::pread(descriptor_, memory.data() + held, wanted - held, static_cast<off_t>(at + held));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errc::io_error, "cannot read {} at {}: {}", path_, at + held, strerror(errno));
    if (got == 0) break;  // it shrank meanwhile
    held += static_cast<uint64_t>(got);
  }
  window_ = slice(std::move(memory), 0, held);
  window_at_ = at;
  return window_.sub(0, std::min(bytes, held));
}

}  // namespace millrace::tools
