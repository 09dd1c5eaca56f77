#include "runtime/net.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <netdb.h>
#include <netinet/in.h>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/log.h"
#include "runtime/errno_error.h"
#include "runtime/event.h"
#include "runtime/reactor.h"

namespace millrace::runtime {

namespace {

// The kernel takes at most IOV_MAX (1024) vectors a call.
constexpr size_t vectors_per_send = 1024;

// Between two tries at a port in use.
constexpr auto busy_interval = std::chrono::milliseconds(20);

std::string text_of(const socket_address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address.storage);
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return fmt::format("{}:{}", text.data(), ntohs(v4.sin_port));
  }
  if (address.storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address.storage);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      // An IPv4 client of a listener for both families.
      inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text.data(), text.size());
      return fmt::format("{}:{}", text.data(), ntohs(v6.sin6_port));
    }
    inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    return fmt::format("[{}]:{}", text.data(), ntohs(v6.sin6_port));
  }
  return "unknown";
}

uint16_t port_of(const socket_address& address) {
  return ntohs(address.storage.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address.storage).sin_port);
}

socket_address ipv4(const in_addr& host, uint16_t port) {
  socket_address address;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
  v4.sin_family = AF_INET;
  v4.sin_addr = host;
  v4.sin_port = htons(port);
  address.length = sizeof(v4);
  return address;
}

socket_address ipv6(const in6_addr& host, uint16_t port) {
  socket_address address;
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = host;
  v6.sin6_port = htons(port);
  address.length = sizeof(v6);
  return address;
}

// Addresses written as numbers, and "localhost" (RFC 6761, 6.3: always the loopback addresses), without
// asking anybody.
std::vector<socket_address> known_addresses(const std::string& host, uint16_t port) {
  in_addr v4{};
  in6_addr v6{};
  std::string bare = host;
  if (bare.size() > 2 && bare.front() == '[' && bare.back() == ']') bare = bare.substr(1, bare.size() - 2);
  if (bare == "localhost") return {ipv4(in_addr{htonl(INADDR_LOOPBACK)}, port), ipv6(in6addr_loopback, port)};
  if (bare.empty()) return {ipv6(in6addr_any, port), ipv4(in_addr{htonl(INADDR_ANY)}, port)};
  if (inet_pton(AF_INET, bare.c_str(), &v4) == 1) return {ipv4(v4, port)};
  if (inet_pton(AF_INET6, bare.c_str(), &v6) == 1) return {ipv6(v6, port)};
  return {};
}

// Looks a name up on a helper thread: the resolver may take seconds.
task<result<std::vector<socket_address>>> resolve(std::string host, uint16_t port) {
  std::vector<socket_address> found = known_addresses(host, port);
  if (!found.empty()) co_return std::move(found);

  std::move_only_function<int64_t()> look_up = [&found, &host, port]() -> int64_t {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const int outcome = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
    for (const addrinfo* a = list; a; a = a->ai_next) {
      socket_address address;
      std::memcpy(&address.storage, a->ai_addr, a->ai_addrlen);
      address.length = a->ai_addrlen;
      found.push_back(address);
    }
    if (list) ::freeaddrinfo(list);
    return outcome;
  };
  io_op op(io_kind::call);
  op.out = &look_up;
  const int64_t outcome = co_await op;
  if (outcome != 0 || found.empty())
    co_return fail(errc::invalid_argument, "cannot find host {}: {}", host,
                   ::gai_strerror(static_cast<int>(outcome)));
  co_return std::move(found);
}

class tcp_stream final : public stream {
 public:
  tcp_stream(backend& io, int fd, std::string peer) : io_(io), fd_(fd), peer_(std::move(peer)) {}
  ~tcp_stream() override {
    MR_ASSERT(!reading_ && !writing_);
    if (fd_ >= 0) io_.close_now(fd_);
  }

  task<result<size_t>> read(mutable_bytes into) override;
  task<result<void>> write(iobuf data) override;
  task<result<void>> write(std::span<const iobuf> data) override;
  bool can_sendfile() const noexcept override { return true; }
  void shutdown() noexcept override;
  task<void> close() override;
  const std::string& peer() const noexcept override { return peer_; }

 private:
  std::unexpected<error> ended() const { return fail(errc::closed, "connection to {} was closed", peer_); }
  task<result<void>> send_all(std::vector<iovec> vectors);
  // Submits, with the operation visible to shutdown() meanwhile.
  task<int64_t> perform(io_op& op, io_op*& pending);

  backend& io_;
  int fd_;
  std::string peer_;
  bool shut_ = false;
  io_op* reading_ = nullptr;
  io_op* writing_ = nullptr;
  condition settled_;
};

task<int64_t> tcp_stream::perform(io_op& op, io_op*& pending) {
  MR_ASSERT(!pending);
  pending = &op;
  const int64_t outcome = co_await op;
  pending = nullptr;
  if (shut_) settled_.notify_all();
  co_return outcome;
}

task<result<size_t>> tcp_stream::read(mutable_bytes into) {
  MR_ASSERT(!into.empty());
  const iovec vector{into.data(), into.size()};
  for (;;) {
    if (shut_) co_return ended();
    io_op op(io_kind::receive, fd_);
    op.vectors = &vector;
    op.vector_count = 1;
    const int64_t outcome = co_await perform(op, reading_);
    if (outcome > 0) co_return static_cast<size_t>(outcome);
    if (shut_) co_return ended();
    if (outcome == -EINTR || outcome == -EAGAIN) continue;
    if (outcome < 0) co_return fail_errno("read from", peer_, outcome);
    co_return size_t{0};
  }
}

task<result<void>> tcp_stream::write(iobuf data) {
  std::vector<iovec> vectors;
  data.to_iovecs(vectors);
  co_return co_await send_all(std::move(vectors));
}

task<result<void>> tcp_stream::write(std::span<const iobuf> data) {
  std::vector<iovec> vectors;
  for (const iobuf& part : data) part.to_iovecs(vectors);
  return send_all(std::move(vectors));
}

task<result<void>> tcp_stream::send_all(std::vector<iovec> vectors) {
  size_t first = 0;
  while (first < vectors.size()) {
    if (shut_) co_return ended();
    io_op op(io_kind::send, fd_);
    op.vectors = vectors.data() + first;
    op.vector_count = static_cast<uint32_t>(std::min(vectors.size() - first, vectors_per_send));
    const int64_t outcome = co_await perform(op, writing_);
    if (outcome == -EINTR || outcome == -EAGAIN) continue;
    if (outcome < 0) {
      if (shut_) co_return ended();
      co_return fail_errno("write to", peer_, outcome);
    }
    auto sent = static_cast<uint64_t>(outcome);
    while (first < vectors.size() && sent >= vectors[first].iov_len) sent -= vectors[first++].iov_len;
    if (sent > 0) {
      vectors[first].iov_base = static_cast<std::byte*>(vectors[first].iov_base) + sent;
      vectors[first].iov_len -= sent;
    }
  }
  co_return {};
}

void tcp_stream::shutdown() noexcept {
  if (shut_) return;
  shut_ = true;
  io_.shutdown(fd_);
  // For a socket that is not connected any more shutdown does nothing, and the operations would stay.
  if (reading_) io_.cancel(*reading_);
  if (writing_) io_.cancel(*writing_);
}

task<void> tcp_stream::close() {
  shutdown();
  while (reading_ || writing_) co_await settled_.wait();
  if (fd_ >= 0) io_.close_now(std::exchange(fd_, -1));
}

}  // namespace

task<result<std::unique_ptr<listener>>> listener::bind(std::string host, uint16_t port,
                                                       listen_options options) {
  auto addresses = co_await resolve(host, port);
  if (!addresses) co_return fail(addresses.error());
  backend& io = reactor::current().io();
  const time_point began = reactor::current().now();
  for (time_point now = began;; now = reactor::current().now()) {
    int outcome = -EADDRNOTAVAIL;
    for (const socket_address& address : *addresses) {
      socket_address bound;
      outcome = io.listen(address, options, bound);
      if (outcome >= 0) co_return std::unique_ptr<listener>(new listener(io, outcome, port_of(bound)));
      // Without IPv6 the next address is the IPv4 one; a port in use is the answer.
      if (outcome == -EADDRINUSE || outcome == -EACCES) break;
    }
    if (outcome != -EADDRINUSE || now - began >= options.patience)
      co_return fail_errno("listen on", fmt::format("{}:{}", host, port), outcome);
    if (now == began)
      log::info("port in use, trying again port={} seconds={}", port,
                std::chrono::duration_cast<std::chrono::seconds>(options.patience).count());
    co_await reactor::current().sleep(busy_interval);
  }
}

listener::~listener() {
  MR_ASSERT(!accepting_);
  if (fd_ >= 0) io_.close_now(fd_);
}

task<result<std::unique_ptr<stream>>> listener::accept() {
  for (;;) {
    if (closed_) co_return fail(errc::closed, "the listener is closed");
    MR_ASSERT(!accepting_);
    socket_address peer;
    io_op op(io_kind::accept, fd_);
    op.out = &peer;
    accepting_ = &op;
    const int64_t outcome = co_await op;
    accepting_ = nullptr;
    if (outcome >= 0 && closed_) io_.close_now(static_cast<int>(outcome));
    if (closed_) {
      io_.close_now(std::exchange(fd_, -1));
      continue;
    }
    // A client that gave up while it was queued is not our error.
    if (outcome == -EINTR || outcome == -EAGAIN || outcome == -ECONNABORTED || outcome == -EPROTO) continue;
    if (outcome < 0) co_return fail_errno("accept on", fmt::format("port {}", port_), outcome);
    co_return std::make_unique<tcp_stream>(io_, static_cast<int>(outcome), text_of(peer));
  }
}

void listener::close() noexcept {
  if (closed_) return;
  closed_ = true;
  io_.shutdown(fd_);
  if (accepting_) {
    io_.cancel(*accepting_);
  } else {
    io_.close_now(std::exchange(fd_, -1));
  }
}

task<result<std::unique_ptr<stream>>> connect(std::string host, uint16_t port) {
  auto addresses = co_await resolve(host, port);
  if (!addresses) co_return fail(addresses.error());
  int64_t outcome = -EADDRNOTAVAIL;
  for (socket_address& address : *addresses) {
    io_op op(io_kind::connect);
    op.out = &address;
    outcome = co_await op;
    if (outcome >= 0)
      co_return std::make_unique<tcp_stream>(reactor::current().io(), static_cast<int>(outcome),
                                             text_of(address));
  }
  co_return fail_errno("connect to", fmt::format("{}:{}", host, port), outcome);
}

}  // namespace millrace::runtime
