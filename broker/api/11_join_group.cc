// 11 JoinGroup, v0-9.
//
// v1 rebalance timeout (v0: the session's); v2 throttle time; v4 a new member is given its id first; v5
// static members; v6 flexible; v7 the protocol type in the answer; v8 a reason, for logs; v9 skip_assignment
// for a static leader. The answer waits until the group has gathered: for the whole rebalance, at times.
#include "broker/api/all.h"
#include "broker/coord/host/group_call.h"
#include "protocol/generated/join_group_request.h"
#include "protocol/generated/join_group_response.h"

namespace millrace::broker {
namespace {

using protocol::join_group_request;
using protocol::join_group_response;

// "[::1]:4711" as Kafka shows it: "/::1".
task<result<join_group_response>> handle(request_context& context, join_group_request request) {
  const coord::caller who = coord::caller_of(context);
  const auto run = [&request, &who](coord::group_machine& m, coord::step& s, coord::join_reply reply) {
    m.join(request, who, s, std::move(reply));
  };
  auto call = coord::ask_group<join_group_response>(context, request.group_id, run);
  result<join_group_response> joined = co_await call;
  if (joined) co_return std::move(*joined);
  join_group_response refused;
  refused.error_code = kafka_code(joined.error().code);
  refused.member_id = request.member_id;
  co_return refused;
}

}  // namespace

const api join_group_api = make_api<handle>(0, 9);

}  // namespace millrace::broker
