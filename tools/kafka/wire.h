// wire: a request or two spoken directly, for what librdkafka 2.0 has no call for: types of groups, members
// of groups of the consumer protocol (KIP-848).
//
// Plain text only: where the cluster wants TLS or SASL, open() says so and the caller does with less. One
// connection, blocking, with the handle's timeout for each answer. Runs on: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/result.h"
#include "protocol/header.h"
#include "tools/kafka/handle.h"

namespace millrace::tools {

class wire {
 public:
  // Connects and learns what the broker speaks. unsupported_version if `to` asks for more than plain text.
  static result<wire> open(const connection& to, const std::string& host, int port);
  wire(wire&& other) noexcept : fd_(std::exchange(other.fd_, -1)), versions_(std::move(other.versions_)) {}
  wire& operator=(wire&&) = delete;
  ~wire();

  bool can(protocol::api_key key, int16_t version) const;

  // Requires: can(Response::api, version).
  template <class Response, class Request>
  result<Response> ask(const Request& request, int16_t version) {
    const auto answer = exchange(protocol::encode_request(request, version, ++correlation_id_, "millrace"));
    if (!answer) return fail(answer.error());
    protocol::reader in(*answer);
    const auto id = protocol::decode_response_header(in, Response::api, version);
    if (!id) return fail(id.error());
    if (*id != correlation_id_) return fail(errc::network_exception, "the answer belongs to another request");
    return Response::decode(in, version);
  }

 private:
  struct range {
    int16_t key, min, max;
  };
  explicit wire(int fd) : fd_(fd) {}
  // Sends one request; the answer without its length.
  result<slice> exchange(iobuf request);

  int fd_;
  int32_t correlation_id_ = 0;
  std::vector<range> versions_;
};

}  // namespace millrace::tools
