#include "tools/cli/output.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

namespace millrace::tools {

void output::drain() {
  std::string_view rest = buffer_;
  while (!rest.empty() && !is_closed()) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EPIPE) {
      reader_gone_ = true;
    } else if (errno != EINTR) {
      failure_errno_ = errno;
    }
  }
  buffer_.clear();
}

result<void> output::flush() {
  drain();
  if (failure_errno_ != 0) {
    return fail(errc::io_error, "cannot write to standard output: {}", strerror(failure_errno_));
  }
  return {};
}

}  // namespace millrace::tools
