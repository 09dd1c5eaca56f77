// 68 ConsumerGroupHeartbeat, v0-1.
//
// v1 ids made by the client, and subscriptions by regular expression.
#include "broker/api/all.h"
#include "broker/coord/host/group_call.h"
#include "protocol/generated/consumer_group_heartbeat_request.h"
#include "protocol/generated/consumer_group_heartbeat_response.h"

namespace millrace::broker {
namespace {

using protocol::consumer_group_heartbeat_request;
using protocol::consumer_group_heartbeat_response;

task<result<consumer_group_heartbeat_response>> handle(request_context& context,
                                                       consumer_group_heartbeat_request request) {
  const coord::caller who = coord::caller_of(context);
  const auto run = [&](coord::group_machine& m, coord::step& s,
                       coord::reply_to<consumer_group_heartbeat_response> reply) {
    m.consumer_heartbeat(request, who, s, std::move(reply));
  };
  auto call = coord::ask_group<consumer_group_heartbeat_response>(context, request.group_id, run);
  result<consumer_group_heartbeat_response> alive = co_await call;
  if (alive) co_return std::move(*alive);
  consumer_group_heartbeat_response refused;
  refused.error_code = kafka_code(alive.error().code);
  refused.error_message = alive.error().message;
  co_return refused;
}

}  // namespace

const api consumer_group_heartbeat_api = make_api<handle>(0, 1);

}  // namespace millrace::broker
