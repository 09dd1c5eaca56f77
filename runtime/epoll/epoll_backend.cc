#include "runtime/epoll/epoll_backend.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"

namespace millrace::runtime {

namespace {

// Enough that a read of the log does not hold up a sync; commits of the log have a thread of their own.
constexpr size_t file_threads = 3;
constexpr size_t commit_threads = 1;
constexpr int events_per_turn = 256;

bool is_read_side(io_kind kind) {
  return kind == io_kind::receive || kind == io_kind::accept || kind == io_kind::poll_readable;
}

bool is_socket_operation(io_kind kind) {
  return is_read_side(kind) || kind == io_kind::send || kind == io_kind::connect;
}

}  // namespace

epoll_backend::epoll_backend()
    : kernel_backend(file_threads, commit_threads, SOCK_NONBLOCK), epoll_fd_(::epoll_create1(EPOLL_CLOEXEC)) {
  MR_ASSERT(epoll_fd_ >= 0);
  epoll_event event{.events = EPOLLIN, .data = {.fd = wake_fd()}};
  MR_ASSERT(::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd(), &event) == 0);
}

epoll_backend::~epoll_backend() {
  ::close(epoll_fd_);
}

void epoll_backend::add_descriptor(int fd) {
  if (!descriptors_.try_emplace(fd).second) return;
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.fd = fd}};
  MR_ASSERT(::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0);
}

int epoll_backend::listen(const socket_address& address, const listen_options& options,
                          socket_address& bound) {
  const int fd = kernel_backend::listen(address, options, bound);
  if (fd >= 0) add_descriptor(fd);
  return fd;
}

void epoll_backend::close_now(int fd) noexcept {
  // The kernel forgets the registration with the last descriptor of the socket.
  const auto found = descriptors_.find(fd);
  if (found != descriptors_.end()) {
    MR_ASSERT(!found->second.reader && !found->second.writer);
    descriptors_.erase(found);
  }
  kernel_backend::close_now(fd);
}

bool epoll_backend::attempt(io_op& op) {
  int64_t outcome = 0;
  switch (op.kind) {
    case io_kind::receive:
      op.message.msg_iov = const_cast<iovec*>(op.vectors);
      op.message.msg_iovlen = op.vector_count;
      outcome = ::recvmsg(op.fd, &op.message, 0);
      break;
    case io_kind::send:
      op.message.msg_iov = const_cast<iovec*>(op.vectors);
      op.message.msg_iovlen = op.vector_count;
      outcome = ::sendmsg(op.fd, &op.message, MSG_NOSIGNAL);
      break;
    case io_kind::accept: {
      auto* peer = static_cast<socket_address*>(op.out);
      if (peer) peer->length = sizeof(peer->storage);
      outcome = ::accept4(op.fd, peer ? reinterpret_cast<sockaddr*>(&peer->storage) : nullptr,
                          peer ? &peer->length : nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      break;
    }
    case io_kind::connect: {
      int reason = 0;
      socklen_t length = sizeof(reason);
      pollfd writable{op.fd, POLLOUT, 0};
      if (::poll(&writable, 1, 0) == 0) return false;
      ::getsockopt(op.fd, SOL_SOCKET, SO_ERROR, &reason, &length);
      op.result = reason == 0 ? op.fd : -reason;
      return true;
    }
    case io_kind::poll_readable: {
      pollfd readable{op.fd, POLLIN, 0};
      outcome = ::poll(&readable, 1, 0);
      if (outcome == 0) return false;
      break;
    }
    default:
      MR_ASSERT(!"not a socket operation");
  }
  if (outcome < 0 && errno == EAGAIN) return false;
  op.result = outcome < 0 ? -errno : outcome;
  return true;
}

void epoll_backend::complete(io_op& op) {
  if (op.kind == io_kind::connect && op.result < 0) close_now(op.fd);
  if (op.kind == io_kind::poll_readable) {
    // Not one of our sockets: its owner closes it without telling us.
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, op.fd, nullptr);
    descriptors_.erase(op.fd);
  }
  if (op.result >= 0 && (op.kind == io_kind::accept || op.kind == io_kind::connect)) {
    const auto fd = static_cast<int>(op.result);
    prepare_connection(fd);
    add_descriptor(fd);
  }
  finished_now_.push(op);
}

void epoll_backend::submit_socket(io_op& op) {
  if (op.kind == io_kind::poll_readable) add_descriptor(op.fd);
  if (attempt(op)) {
    complete(op);
    return;
  }
  parked& slot = descriptors_[op.fd];
  io_op*& place = is_read_side(op.kind) ? slot.reader : slot.writer;
  MR_ASSERT(place == nullptr);
  place = &op;
}

void epoll_backend::start_connect(io_op& op) {
  const auto& to = *static_cast<const socket_address*>(op.out);
  op.fd = make_socket(to);
  if (op.fd < 0) {
    op.result = op.fd;
    finished_now_.push(op);
    return;
  }
  add_descriptor(op.fd);
  if (::connect(op.fd, reinterpret_cast<const sockaddr*>(&to.storage), to.length) == 0) {
    op.result = op.fd;
    complete(op);
  } else if (errno == EINPROGRESS) {
    descriptors_[op.fd].writer = &op;
  } else {
    op.result = -errno;
    complete(op);
  }
}

void epoll_backend::submit(io_op& op) {
  if (op.kind == io_kind::connect) {
    start_connect(op);
  } else if (is_socket_operation(op.kind)) {
    submit_socket(op);
  } else if (op.kind == io_kind::write && (op.flags & write_dsync)) {
    submit_to_commit_pool(op);
  } else {
    submit_to_pool(op);
  }
}

void epoll_backend::cancel(io_op& op) {
  const auto found = descriptors_.find(op.fd);
  if (found == descriptors_.end()) return;
  io_op*& place = is_read_side(op.kind) ? found->second.reader : found->second.writer;
  if (place != &op) return;
  place = nullptr;
  op.result = -ECANCELED;
  complete(op);
}

void epoll_backend::on_ready(int fd, uint32_t events) {
  // A slot may vanish with the first of the two completions, so it is looked up for each.
  const bool is_over = (events & (EPOLLHUP | EPOLLERR)) != 0;
  const auto retry = [&](io_op* parked::* side) {
    const auto found = descriptors_.find(fd);
    if (found == descriptors_.end() || !(found->second.*side)) return;
    io_op& op = *(found->second.*side);
    if (!attempt(op)) return;
    found->second.*side = nullptr;
    complete(op);
  };
  if (is_over || (events & (EPOLLIN | EPOLLRDHUP))) retry(&parked::reader);
  if (is_over || (events & EPOLLOUT)) retry(&parked::writer);
}

int epoll_backend::wait_for_events(void* events, int capacity, std::optional<nanoseconds> wait) noexcept {
  auto* out = static_cast<epoll_event*>(events);
  if (has_fine_wait_ && wait && wait->count() > 0) {
    const timespec limit{wait->count() / 1'000'000'000, wait->count() % 1'000'000'000};
    const long got = ::syscall(SYS_epoll_pwait2, epoll_fd_, out, capacity, &limit, nullptr, 0);
    if (got >= 0 || errno == EINTR) return static_cast<int>(got);
    has_fine_wait_ = false;
  }
  int64_t limit_ms = -1;
  // Rounded up, or a wait of 0.3 ms would spin.
  if (wait) limit_ms = std::min<int64_t>((wait->count() + 999'999) / 1'000'000, 1'000'000);
  return ::epoll_wait(epoll_fd_, out, capacity, static_cast<int>(limit_ms));
}

void epoll_backend::turn(std::optional<nanoseconds> wait, op_list& done) {
  if (!finished_now_.empty() || pool_has_results()) wait = nanoseconds(0);
  std::array<epoll_event, events_per_turn> events;
  const int count = wait_for_events(events.data(), static_cast<int>(events.size()), wait);
  for (int i = 0; i < count; ++i) {
    if (events[i].data.fd == wake_fd()) {
      clear_wake();
    } else {
      on_ready(events[i].data.fd, events[i].events);
    }
  }
  while (io_op* op = finished_now_.pop()) done.push(*op);
  take_from_pool(done);
}

}  // namespace millrace::runtime
