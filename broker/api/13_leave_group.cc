// 13 LeaveGroup, v0-5.
//
// v1 throttle time; v3 several members, static ones by their instance id (before: one, and its error is the
// answer's); v4 flexible; v5 reasons, for logs.
#include "broker/api/all.h"
#include "broker/coord/host/group_call.h"
#include "protocol/generated/leave_group_request.h"
#include "protocol/generated/leave_group_response.h"

namespace millrace::broker {
namespace {

using protocol::leave_group_request;
using protocol::leave_group_response;

task<result<leave_group_response>> handle(request_context& context, leave_group_request request) {
  const bool is_single = context.version() < 3;
  if (is_single) {
    request.members.clear();
    request.members.emplace_back().member_id = request.member_id;
  }
  const auto run = [&request](coord::group_machine& m, coord::step& s,
                              coord::reply_to<leave_group_response> reply) {
    m.leave(request, s, std::move(reply));
  };
  auto call = coord::ask_group<leave_group_response>(context, request.group_id, run);
  result<leave_group_response> left = co_await call;
  if (!left) {
    leave_group_response refused;
    refused.error_code = kafka_code(left.error().code);
    co_return refused;
  }
  if (is_single) {
    if (left->error_code == 0 && !left->members.empty()) left->error_code = left->members[0].error_code;
    left->members.clear();
  }
  co_return std::move(*left);
}

}  // namespace

const api leave_group_api = make_api<handle>(0, 5);

}  // namespace millrace::broker
