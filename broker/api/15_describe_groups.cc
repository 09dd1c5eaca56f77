// 15 DescribeGroups, v0-6.
//
// v1 throttle time; v3 authorized operations; v4 instance ids; v5 flexible; v6 an error message, and
// GROUP_ID_NOT_FOUND for what does not exist (before: a group in state Dead).
#include <fmt/format.h>

#include "broker/api/all.h"
#include "broker/api/operations.h"
#include "broker/coord/group/subscription.h"
#include "broker/coord/host/group_call.h"
#include "protocol/generated/describe_groups_request.h"
#include "protocol/generated/describe_groups_response.h"

namespace millrace::broker {
namespace {

using protocol::describe_groups_request;
using protocol::describe_groups_response;

task<result<describe_groups_response>> handle(request_context& context, describe_groups_request request) {
  describe_groups_response response;
  for (const std::string_view group : request.groups) {
    const auto run = [group](coord::group_machine& m, coord::step& s,
                             coord::reply_to<coord::describe_result> reply) {
      m.describe(group, s, std::move(reply));
    };
    auto call = coord::ask_group<coord::describe_result>(context, group, run);
    result<coord::describe_result> described = co_await call;
    auto& entry = response.groups.emplace_back();
    if (described) {
      entry = std::move(*described);
    } else {
      entry.group_id = group;
      entry.error_code = kafka_code(described.error().code);
    }
    const bool is_unknown = entry.error_code == kafka_code(errc::group_id_not_found);
    if (is_unknown && context.version() >= 6) {
      const bool is_other_kind = entry.protocol_type == coord::consumer_protocol_type;
      entry.error_message = is_other_kind ? fmt::format("Group {} is not a classic group.", group)
                                          : fmt::format("Group {} not found.", group);
    }
    if (is_unknown) entry.protocol_type.clear();
    if (is_unknown && context.version() < 6) entry.error_code = 0;
    if (request.include_authorized_operations) entry.authorized_operations = group_operations;
  }
  co_return response;
}

}  // namespace

const api describe_groups_api = make_api<handle>(0, 6);

}  // namespace millrace::broker
