#include "runtime/errno_error.h"

#include <cerrno>
#include <system_error>

namespace millrace::runtime {

errc errc_of(int errno_value) noexcept {
  switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
      return errc::disk_full;
    case ENOENT:
      return errc::not_found;
    case EEXIST:
      return errc::already_exists;
    case ECANCELED:
      return errc::cancelled;
    case EPIPE:
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN:
    case EBADF:
    case ESHUTDOWN:
      return errc::closed;
    case EROFS:
      return errc::read_only;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
      return errc::invalid_argument;
    default:
      return errc::io_error;
  }
}

std::unexpected<error> fail_errno(std::string_view doing, std::string_view what, int64_t outcome) {
  const int number = static_cast<int>(-outcome);
  return fail(errc_of(number), "cannot {} {}: {}", doing, what, std::generic_category().message(number));
}

}  // namespace millrace::runtime
