// api: what the server knows of one Kafka API, and what a handler knows of its request.
//
// Each API is one file, `NN_name.cc`, that defines one `const api` and its handler; all.cc lists them. To add
// one: write the file, add it to all.cc and meson.build. Nothing else changes: ApiVersions advertises the
// list.
//
//   // 60 DescribeCluster, v0-2. v1 EndpointType; v2 fenced brokers.
//   task<result<protocol::describe_cluster_response>> handle(request_context& context,
//   protocol::describe_cluster_request request); const api describe_cluster_api = make_api<handle>(0, 2);
//
// A handler runs on the shard that owns the connection. Views in the request stay valid until it returns. An
// error it returns closes the connection: what a client can do something about belongs into the response.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "base/buffer.h"
#include "base/result.h"
#include "broker/config/listener_address.h"
#include "protocol/api.h"
#include "protocol/header.h"
#include "protocol/reader.h"
#include "runtime/event.h"
#include "runtime/task.h"

namespace millrace::broker {

class shard_context;
using runtime::task;

struct request_context {
  shard_context& shard;  // of the connection
  const listener_address&
      advertised;  // where clients of this connection's listener are sent, real port filled in
  protocol::request_header header;
  slice body;  // keeps the views in the request alive
  const std::string& peer;

  // Pipelined APIs only: set once the order of this request's effects is fixed, so that the connection may
  // begin the next one. Set by the server at the latest when the handler returns.
  runtime::event ordered;

  int16_t version() const noexcept { return header.api_version; }
  std::string_view client_id() const noexcept { return header.client_id.value_or(""); }
};

struct reply {
  std::optional<iobuf> bytes;  // nothing: no answer is due (Produce with acks=0)
  // What the answer keeps occupied until it is sent, beyond its own bytes: see response_budget.
  int64_t budget_bytes = 0;
};

struct api {
  protocol::api_key key;
  int16_t version_min;
  int16_t version_max;
  // What ApiVersions tells; lower than version_min only for Produce, where old librdkafka looks for a 0.
  int16_t advertised_min;
  // Whether the next request may begin before this one is answered. Everything else runs strictly one after
  // another.
  bool is_pipelined;
  // An error closes the connection.
  task<result<reply>> (*run)(request_context& context);

  bool serves(int16_t version) const noexcept { return version >= version_min && version <= version_max; }
};

namespace detail {

template <class T>
struct handler_types;
template <class Request, class Response>
struct handler_types<task<result<Response>> (*)(request_context&, Request)> {
  using request = Request;
  using response = Response;
};

template <auto handle>
task<result<reply>> run_typed(request_context& context) {
  using request_type = typename handler_types<decltype(handle)>::request;
  protocol::reader in(context.body);
  auto request = request_type::decode(in, context.version());
  if (!request) co_return fail(std::move(request).error());
  auto response = co_await handle(context, *std::move(request));
  if (!response) co_return fail(std::move(response).error());
  co_return reply{.bytes =
                      protocol::encode_response(*response, context.version(), context.header.correlation_id)};
}

}  // namespace detail

// An API whose handler takes a decoded request and returns its response.
template <auto handle>
constexpr api make_api(int16_t version_min, int16_t version_max) {
  using request_type = typename detail::handler_types<decltype(handle)>::request;
  static_assert(std::is_same_v<decltype(request_type::api), const protocol::api_key>);
  return {request_type::api, version_min, version_max, version_min, false, &detail::run_typed<handle>};
}

}  // namespace millrace::broker
