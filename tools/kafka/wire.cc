#include "tools/kafka/wire.h"

#include <algorithm>
#include <cerrno>
#include <netdb.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "protocol/generated/api_versions_request.h"
#include "protocol/generated/api_versions_response.h"

namespace millrace::tools {

namespace {

constexpr int32_t answer_bytes_max = 64 << 20;

// The first address of the host that answers; -1 if none does.
int connect_to(const std::string& host, int port, int timeout_seconds) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return -1;
  const timeval patience{.tv_sec = timeout_seconds, .tv_usec = 0};
  int connected = -1;
  for (const addrinfo* at = found; at != nullptr && connected < 0; at = at->ai_next) {
    const int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
    if (fd < 0) continue;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
      connected = fd;
    } else {
      close(fd);
    }
  }
  freeaddrinfo(found);
  return connected;
}

bool receive_exactly(int fd, std::byte* to, size_t bytes) {
  while (bytes > 0) {
    const ssize_t got = recv(fd, to, bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got;
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

}  // namespace

result<wire> wire::open(const connection& to, const std::string& host, int port) {
  constexpr std::string_view protocol = "security.protocol=";
  for (const std::string& property : to.properties) {
    if (property.starts_with(protocol) && strcasecmp(property.c_str() + protocol.size(), "plaintext") != 0) {
      return fail(errc::unsupported_version, "this is asked in plain text only");
    }
  }
  wire self(connect_to(host, port, to.timeout_seconds));
  if (self.fd_ < 0) return fail(errc::broker_not_available, "cannot reach {}:{}", host, port);
  const auto answer = self.ask<protocol::api_versions_response>(protocol::api_versions_request{}, 0);
  if (!answer) return fail(answer.error());
  for (const auto& key : answer->api_keys) {
    self.versions_.push_back({key.api_key, key.min_version, key.max_version});
  }
  return self;
}

wire::~wire() {
  if (fd_ >= 0) close(fd_);
}

bool wire::can(protocol::api_key key, int16_t version) const {
  return std::ranges::any_of(versions_, [&](const range& r) {
    return r.key == static_cast<int16_t>(key) && r.min <= version && version <= r.max;
  });
}

result<slice> wire::exchange(iobuf request) {
  const slice bytes = request.flatten();
  const std::byte* at = bytes.data();
  for (size_t left = bytes.size(); left > 0;) {
    const ssize_t sent = send(fd_, at, left, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return fail(errc::network_exception, "the broker closed the connection");
    at += sent;
    left -= static_cast<size_t>(sent);
  }
  std::byte length[4];
  if (!receive_exactly(fd_, length, sizeof(length))) return fail(errc::network_exception, "no answer");
  const auto size = load_be<int32_t>(length);
  if (size < 0 || size > answer_bytes_max) {
    return fail(errc::network_exception, "an answer of {} bytes is none", size);
  }
  const buffer body = buffer::allocate(static_cast<size_t>(size));
  if (!receive_exactly(fd_, body.data(), static_cast<size_t>(size))) {
    return fail(errc::network_exception, "an answer that ends early");
  }
  return slice(body, 0, static_cast<size_t>(size));
}

}  // namespace millrace::tools
