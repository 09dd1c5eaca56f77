#include "broker/admin/unix_listener.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace millrace::broker::admin {
namespace {

constexpr mode_t owner_only = S_IRUSR | S_IWUSR;

class descriptor {
 public:
  explicit descriptor(int fd) : fd_(fd) {}
  ~descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;

  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

descriptor make_socket() {
  return descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

std::unexpected<error> failure(std::string_view what, const std::string& path) {
  return fail(errc::io_error, "cannot {} the socket {}: {}", what, path, std::strerror(errno));
}

// Whether a process listens at `address`. One whose queue is full lives, too.
bool is_in_use(const sockaddr_un& address) {
  const descriptor probe = make_socket();
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ||
         errno == EAGAIN;
}

result<void> clear_the_way(const std::string& path, const sockaddr_un& address) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return failure("look at", path);
  }
  if (!S_ISSOCK(found.st_mode))
    return fail(errc::already_exists, "{} is there and is no socket; move it away", path);
  if (is_in_use(address)) return fail(errc::locked, "another process listens on the socket {}", path);
  if (::unlink(path.c_str()) != 0) return failure("replace", path);
  return {};
}

}  // namespace

result<int> listen_on_unix_socket(const std::string& path, int backlog) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path))
    return fail(errc::invalid_config, "the path of a Unix socket has 1 to {} bytes, and this one {}: {}",
                sizeof(address.sun_path) - 1, path.size(), path);
  std::memcpy(address.sun_path, path.data(), path.size());

  descriptor listener = make_socket();
  if (listener.get() < 0) return failure("make", path);
  MR_TRY(clear_the_way(path, address));
  // Linux gives the name the mode of the socket (less the umask), so nobody else can connect between bind and
  // a chmod; and the umask, which belongs to all threads, stays alone.
  if (::fchmod(listener.get(), owner_only) != 0) return failure("set the mode of", path);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return failure("bind", path);
  struct stat made{};
  if (::lstat(path.c_str(), &made) != 0 || (made.st_mode & 07777 & ~owner_only) != 0) {
    ::unlink(path.c_str());
    return fail(errc::not_supported, "the file system of {} gives a socket mode {:o} instead of 600", path,
                static_cast<unsigned>(made.st_mode & 07777));
  }
  if (::listen(listener.get(), backlog) != 0) return failure("listen on", path);
  return listener.release();
}

}  // namespace millrace::broker::admin
