#include "runtime/sim/network.h"

#include <algorithm>
#include <cerrno>
#include <netinet/in.h>
#include <utility>

#include "base/assert.h"

namespace millrace::runtime {

namespace {

// What fits between sender and reader.
constexpr size_t pipe_bytes = 128 * 1024;

uint16_t get_port(const socket_address& address) {
  return ntohs(address.storage.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address.storage).sin_port);
}

void set_port(socket_address& address, uint16_t port) {
  if (address.storage.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6&>(address.storage).sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in&>(address.storage).sin_port = htons(port);
  }
}

}  // namespace

void sim_network::parked::finish(int64_t result) {
  io_op* finished = std::exchange(op, nullptr);
  home->complete_later(*finished, result);
}

int sim_network::listen(const socket_address& address, socket_address& bound) {
  uint16_t port = get_port(address);
  while (port == 0 && listeners_.contains(next_port_)) ++next_port_;
  if (port == 0) port = next_port_++;
  if (listeners_.contains(port)) return -EADDRINUSE;
  bound = address;
  set_port(bound, port);
  const int fd = next_fd_++;
  socket& s = sockets_[fd];
  s.is_listener = true;
  s.port = port;
  s.own = bound;
  listeners_[port] = fd;
  return fd;
}

void sim_network::submit(io_op& op, sim_completions& home) {
  if (op.kind == io_kind::connect) return connect(op, home);
  const auto found = sockets_.find(op.fd);
  if (found == sockets_.end()) return home.complete_later(op, -EBADF);
  socket& s = found->second;
  parked& place = op.kind == io_kind::send ? s.writer : s.reader;
  MR_ASSERT(place.op == nullptr);
  place = {&op, &home};
  if (op.kind == io_kind::accept) {
    try_accept(s);
  } else if (op.kind == io_kind::receive) {
    try_receive(s);
  } else {
    try_send(s);
  }
}

void sim_network::connect(io_op& op, sim_completions& home) {
  const auto& to = *static_cast<const socket_address*>(op.out);
  const auto found = listeners_.find(get_port(to));
  if (found == listeners_.end()) return home.complete_later(op, -ECONNREFUSED);
  const int client = next_fd_++;
  const int server = next_fd_++;
  socket& c = sockets_[client];
  socket& s = sockets_[server];
  c.own = to;
  set_port(c.own, next_port_++);
  s.own = to;
  c.peer = server;
  s.peer = client;
  socket& l = sockets_.at(found->second);
  l.backlog.push_back(server);
  try_accept(l);
  home.complete_later(op, client);
}

void sim_network::try_accept(socket& s) {
  if (!s.reader.op) return;
  if (s.is_shut) return s.reader.finish(-EINVAL);
  if (s.backlog.empty()) return;
  const int fd = s.backlog.front();
  s.backlog.pop_front();
  if (auto* peer = static_cast<socket_address*>(s.reader.op->out)) {
    *peer = s.own;
    const auto other = sockets_.find(sockets_.at(fd).peer);
    if (other != sockets_.end()) *peer = other->second.own;
  }
  s.reader.finish(fd);
}

void sim_network::try_receive(socket& s) {
  if (!s.reader.op) return;
  if (s.is_reset) return s.reader.finish(-ECONNRESET);
  if (s.is_shut) return s.reader.finish(0);
  if (s.received.empty()) {
    if (s.peer_ended) s.reader.finish(0);
    return;
  }
  const iovec& into = *s.reader.op->vectors;
  size_t length = std::min({s.received.size(), into.iov_len, piece_bytes_max_});
  if (random_.one_in(4)) length = 1 + random_.below(length);
  const auto end = s.received.begin() + static_cast<ptrdiff_t>(length);
  std::copy(s.received.begin(), end, static_cast<std::byte*>(into.iov_base));
  s.received.erase(s.received.begin(), end);
  s.reader.finish(static_cast<int64_t>(length));
  const auto peer = sockets_.find(s.peer);
  if (peer != sockets_.end()) try_send(peer->second);
}

void sim_network::try_send(socket& s) {
  if (!s.writer.op) return;
  if (s.is_reset) return s.writer.finish(-ECONNRESET);
  const auto peer = sockets_.find(s.peer);
  if (s.is_shut || peer == sockets_.end() || peer->second.is_shut) return s.writer.finish(-EPIPE);
  std::deque<std::byte>& to = peer->second.received;
  if (to.size() >= pipe_bytes) return;
  size_t room = std::min(pipe_bytes - to.size(), piece_bytes_max_);
  if (random_.one_in(4)) room = 1 + random_.below(room);
  size_t sent = 0;
  for (uint32_t i = 0; i < s.writer.op->vector_count && room > 0; ++i) {
    const iovec& v = s.writer.op->vectors[i];
    const size_t step = std::min(room, v.iov_len);
    const auto* from = static_cast<const std::byte*>(v.iov_base);
    to.insert(to.end(), from, from + step);
    sent += step;
    room -= step;
  }
  s.writer.finish(static_cast<int64_t>(sent));
  try_receive(peer->second);
}

bool sim_network::cancel(io_op& op) {
  for (auto& [fd, s] : sockets_) {
    for (parked* place : {&s.reader, &s.writer}) {
      if (place->op != &op) continue;
      place->op = nullptr;
      return true;
    }
  }
  return false;
}

void sim_network::shutdown(int fd) {
  const auto found = sockets_.find(fd);
  if (found == sockets_.end() || found->second.is_shut) return;
  socket& s = found->second;
  s.is_shut = true;
  if (s.is_listener) {
    listeners_.erase(s.port);
    try_accept(s);
    return;
  }
  try_receive(s);
  try_send(s);
  const auto peer = sockets_.find(s.peer);
  if (peer == sockets_.end()) return;
  peer->second.peer_ended = true;
  try_receive(peer->second);
  try_send(peer->second);
}

void sim_network::close(int fd) {
  shutdown(fd);
  const auto found = sockets_.find(fd);
  if (found == sockets_.end()) return;
  MR_ASSERT(!found->second.reader.op && !found->second.writer.op);
  const std::deque<int> unaccepted = std::move(found->second.backlog);
  sockets_.erase(found);
  for (const int waiting : unaccepted) close(waiting);
}

void sim_network::reset_connections() {
  for (auto& [fd, s] : sockets_) {
    if (s.is_listener) continue;
    s.is_reset = true;
    try_receive(s);
    try_send(s);
  }
}

size_t sim_network::connection_count() const {
  return static_cast<size_t>(
      std::count_if(sockets_.begin(), sockets_.end(), [](const auto& s) { return !s.second.is_listener; }));
}

}  // namespace millrace::runtime
