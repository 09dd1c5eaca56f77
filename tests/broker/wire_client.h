// wire_client: one connection, blocking, that speaks Kafka's protocol frame by frame and can misbehave.
#pragma once

#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include "base/buffer.h"
#include "protocol/batch_builder.h"
#include "protocol/generated/create_topics_request.h"
#include "protocol/generated/create_topics_response.h"
#include "protocol/generated/fetch_request.h"
#include "protocol/generated/fetch_response.h"
#include "protocol/generated/metadata_request.h"
#include "protocol/generated/metadata_response.h"
#include "protocol/generated/produce_request.h"
#include "protocol/generated/produce_response.h"
#include "protocol/header.h"

namespace millrace::broker {

class wire_client {
 public:
  // To 127.0.0.1, or to ::1.
  explicit wire_client(uint16_t port, bool over_ipv6 = false) {
    fd_ = ::socket(over_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    if (over_ipv6) {
      const sockaddr_in6 address{
          .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
      EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    } else {
      const sockaddr_in address{
          .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
      EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    }
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  }
  ~wire_client() {
    if (fd_ >= 0) ::close(fd_);
  }
  wire_client(const wire_client&) = delete;
  wire_client& operator=(const wire_client&) = delete;

  void send_raw(bytes_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes = bytes.subspan(static_cast<size_t>(n));
    }
  }
  template <class Request>
  void send(const Request& request, int16_t version, int32_t correlation_id) {
    send_raw(protocol::encode_request(request, version, correlation_id, "test").flatten());
  }

  // The next answer without its length; nothing if the broker closed the connection.
  std::optional<slice> receive_raw() {
    std::byte length[4];
    if (!receive_exactly(length)) return std::nullopt;
    const auto size = static_cast<size_t>(load_be<uint32_t>(length));
    if (size > answer_bytes_max) {
      ADD_FAILURE() << "an answer of " << size << " bytes";
      return std::nullopt;
    }
    const buffer body = buffer::allocate(size);
    if (!receive_exactly({body.data(), size})) return std::nullopt;
    return slice(body, 0, size);
  }
  // Nothing if the broker closed the connection, or answered what cannot be read, which also fails the test.
  template <class Response>
  std::optional<Response> receive(int16_t version, int32_t correlation_id) {
    const std::optional<slice> bytes = receive_raw();
    if (!bytes) return std::nullopt;
    protocol::reader in(*bytes);
    const result<int32_t> id = protocol::decode_response_header(in, Response::api, version);
    if (!id) {
      ADD_FAILURE() << "an answer's header cannot be read: " << id.error().message;
      return std::nullopt;
    }
    EXPECT_EQ(*id, correlation_id);
    auto response = Response::decode(in, version);
    if (!response) {
      ADD_FAILURE() << "an answer cannot be read: " << response.error().message;
      return std::nullopt;
    }
    return *std::move(response);
  }
  template <class Response, class Request>
  std::optional<Response> ask(const Request& request, int16_t version) {
    const int32_t id = ++last_id_;
    send(request, version, id);
    return receive<Response>(version, id);
  }

  // Whether the broker has closed the connection (within a second).
  bool is_closed() {
    pollfd p{.fd = fd_, .events = POLLIN, .revents = 0};
    if (::poll(&p, 1, 5000) <= 0) return false;
    std::byte b;
    return ::recv(fd_, &b, 1, MSG_PEEK) <= 0;
  }
  bool has_input(int patience_ms) {
    pollfd p{.fd = fd_, .events = POLLIN, .revents = 0};
    return ::poll(&p, 1, patience_ms) > 0;
  }
  void end_sending() { ::shutdown(fd_, SHUT_WR); }

 private:
  static constexpr size_t answer_bytes_max = 64 << 20;

  bool receive_exactly(mutable_bytes into) {
    while (!into.empty()) {
      const ssize_t n = ::recv(fd_, into.data(), into.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) std::perror("recv");
      if (n <= 0) return false;
      into = into.subspan(static_cast<size_t>(n));
    }
    return true;
  }

  int fd_ = -1;
  int32_t last_id_ = 1000;
};

// --- what most tests need ---

inline slice make_batch(int records, const std::string& value, protocol::batch_options options = {}) {
  protocol::batch_builder builder;
  for (int i = 0; i < records; ++i) builder.add(1'700'000'000'000 + i, std::nullopt, as_bytes(value));
  return builder.build(options);
}

inline protocol::produce_request produce_to(std::string_view topic, int32_t partition, slice batch,
                                            int16_t acks = -1) {
  protocol::produce_request request;
  request.acks = acks;
  request.timeout_ms = 30'000;
  auto& t = request.topic_data.emplace_back();
  t.name = topic;
  auto& p = t.partition_data.emplace_back();
  p.index = partition;
  p.records = iobuf(std::move(batch));
  return request;
}

inline protocol::fetch_request fetch_from(std::string_view topic, int32_t partitions, int64_t offset,
                                          int32_t max_wait_ms) {
  protocol::fetch_request request;
  request.max_wait_ms = max_wait_ms;
  request.min_bytes = 1;
  request.max_bytes = 1 << 20;
  auto& t = request.topics.emplace_back();
  t.topic = topic;
  for (int32_t p = 0; p < partitions; ++p) {
    auto& wanted = t.partitions.emplace_back();
    wanted.partition = p;
    wanted.fetch_offset = offset;
    wanted.partition_max_bytes = 1 << 20;
  }
  return request;
}

// Creates a topic; its id, or a failed test and zeros.
inline uuid create_topic(wire_client& client, std::string_view name, int32_t partitions) {
  protocol::create_topics_request request;
  auto& t = request.topics.emplace_back();
  t.name = name;
  t.num_partitions = partitions;
  t.replication_factor = 1;
  const auto answer = client.ask<protocol::create_topics_response>(request, 7);
  if (!answer || answer->topics.size() != 1) {
    ADD_FAILURE() << "no answer to the creation of topic " << name;
    return {};
  }
  const auto& created = answer->topics[0];
  EXPECT_EQ(created.error_code, 0) << created.error_message.value_or("");
  return created.topic_id;
}

}  // namespace millrace::broker
