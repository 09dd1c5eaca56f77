#include "runtime/kernel_backend.h"

#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "runtime/blocking.h"

namespace millrace::runtime {

kernel_backend::kernel_backend(size_t file_threads, size_t commit_threads, int socket_flags)
    : socket_flags_(socket_flags),
      wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      pool_("files", file_threads, [this](io_op& op) { finish_elsewhere(op); }),
      commit_pool_("commit", commit_threads, [this](io_op& op) { finish_elsewhere(op); }) {
  MR_ASSERT(wake_fd_ >= 0);
}

kernel_backend::~kernel_backend() {
  ::close(wake_fd_);
}

void kernel_backend::wake() noexcept {
  // One write is enough until the owner has looked.
  if (woken_.exchange(true, std::memory_order_acq_rel)) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof(one));
}

void kernel_backend::clear_wake() noexcept {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(wake_fd_, &count, sizeof(count));
  woken_.store(false, std::memory_order_seq_cst);
}

void kernel_backend::finish_elsewhere(io_op& op) noexcept {
  if (!op.waiter) {
    delete &op;
    return;
  }
  io_op* seen = finished_.load(std::memory_order_relaxed);
  do {
    op.next = seen;
  } while (!finished_.compare_exchange_weak(seen, &op, std::memory_order_seq_cst, std::memory_order_relaxed));
  kernel_backend::wake();  // not virtual: this may be the last thing before destruction
}

void kernel_backend::submit_to_pool(io_op& op) {
  // A call may be long, or wait for this loop.
  if (!may_block_ || op.kind == io_kind::call) return pool_.submit(op);
  op.result = perform_blocking(op);
  done_here_.push(op);
}

size_t kernel_backend::take_from_pool(op_list& done) noexcept {
  io_op* newest = finished_.exchange(nullptr, std::memory_order_acquire);
  io_op* oldest_first = nullptr;
  while (newest) {
    io_op* older = newest->next;
    newest->next = oldest_first;
    oldest_first = newest;
    newest = older;
  }
  size_t count = 0;
  while (io_op* op = done_here_.pop()) {
    done.push(*op);
    ++count;
  }
  while (oldest_first) {
    io_op* following = oldest_first->next;
    done.push(*oldest_first);
    oldest_first = following;
    ++count;
  }
  return count;
}

time_point kernel_backend::monotonic_now() noexcept {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return time_point(std::chrono::seconds(t.tv_sec) + nanoseconds(t.tv_nsec));
}

int64_t kernel_backend::wall_clock_ms() noexcept {
  timespec t{};
  // The coarse clock moves every 1 to 4 ms and costs a few nanoseconds; record timestamps are in ms.
  ::clock_gettime(CLOCK_REALTIME_COARSE, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1'000'000;
}

int kernel_backend::make_socket(const socket_address& address) const noexcept {
  const int fd = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | socket_flags_, IPPROTO_TCP);
  return fd < 0 ? -errno : fd;
}

void kernel_backend::prepare_connection(int fd) noexcept {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

int kernel_backend::listen(const socket_address& address, const listen_options& options,
                           socket_address& bound) {
  const int fd = make_socket(address);
  if (fd < 0) return fd;
  const int on = 1;
  const int off = 0;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (options.reuse_port) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  // "::" takes both families, whatever the system's default is.
  if (address.storage.ss_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  bound.length = sizeof(bound.storage);
  const bool ok = ::bind(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.length) == 0 &&
                  ::listen(fd, options.backlog) == 0 &&
                  ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound.storage), &bound.length) == 0;
  if (ok) return fd;
  const int reason = -errno;
  ::close(fd);
  return reason;
}

void kernel_backend::shutdown(int fd) noexcept {
  ::shutdown(fd, SHUT_RDWR);
}

void kernel_backend::close_now(int fd) noexcept {
  ::close(fd);
}

void kernel_backend::close_behind(int fd) noexcept {
  pool_.submit(*new io_op(io_kind::close, fd));  // nobody waits for it: finish_elsewhere() deletes it
}

int kernel_backend::lock_file(int fd) noexcept {
  struct flock whole{};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return ::fcntl(fd, F_OFD_SETLK, &whole) < 0 ? -errno : 0;
}

}  // namespace millrace::runtime
