// 12 Heartbeat, v0-4.
//
// v1 throttle time; v3 static members; v4 flexible.
#include "broker/api/all.h"
#include "broker/coord/host/group_call.h"
#include "protocol/generated/heartbeat_request.h"
#include "protocol/generated/heartbeat_response.h"

namespace millrace::broker {
namespace {

using protocol::heartbeat_request;
using protocol::heartbeat_response;

task<result<heartbeat_response>> handle(request_context& context, heartbeat_request request) {
  const auto run = [&request](coord::group_machine& m, coord::step& s,
                              coord::reply_to<heartbeat_response> reply) {
    m.heartbeat(request, s, std::move(reply));
  };
  auto call = coord::ask_group<heartbeat_response>(context, request.group_id, run);
  result<heartbeat_response> alive = co_await call;
  if (alive) co_return std::move(*alive);
  heartbeat_response refused;
  refused.error_code = kafka_code(alive.error().code);
  co_return refused;
}

}  // namespace

const api heartbeat_api = make_api<handle>(0, 4);

}  // namespace millrace::broker
