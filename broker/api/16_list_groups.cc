// 16 ListGroups, v0-5.
//
// v1 throttle time; v3 flexible; v4 states, and a filter by them; v5 types, and a filter by them. Filters do
// not mind upper and lower case. While some groups are still loading, those that are there come with
// COORDINATOR_LOAD_IN_PROGRESS.
#include <algorithm>
#include <string>
#include <strings.h>
#include <vector>

#include "broker/api/all.h"
#include "broker/coord/host/group_call.h"
#include "protocol/generated/list_groups_request.h"
#include "protocol/generated/list_groups_response.h"

namespace millrace::broker {
namespace {

using protocol::list_groups_request;
using protocol::list_groups_response;

bool passes(const std::vector<std::string_view>& filter, const std::string& value) {
  return filter.empty() || std::ranges::any_of(filter, [&](std::string_view wanted) {
           return wanted.size() == value.size() &&
                  strncasecmp(wanted.data(), value.data(), value.size()) == 0;
         });
}

// All groups of one shard. The partitions are named before the first wait, as they may change during it.
task<list_groups_response> list_shard(coord::service* groups) {
  list_groups_response found;
  std::vector<int32_t> partitions;
  if (groups != nullptr) {
    for (const auto& [index, p] : groups->partitions()) partitions.push_back(index);
  }
  const auto run = [](coord::group_machine& m, coord::step& s, coord::reply_to<coord::list_result> reply) {
    m.list(s, std::move(reply));
  };
  for (const int32_t index : partitions) {
    auto call = coord::ask_on_owner<coord::list_result>(groups, index, run);
    result<coord::list_result> listed = co_await call;
    if (listed) {
      std::ranges::move(*listed, std::back_inserter(found.groups));
    } else {
      found.error_code = kafka_code(listed.error().code);
    }
  }
  co_return found;
}

task<result<list_groups_response>> handle(request_context& context, list_groups_request request) {
  list_groups_response response;
  for (shard_context* shard : context.shard.whole().shards) {
    coord::service* groups = shard->groups;
    const auto list_there = [groups] { return list_shard(groups); };
    auto call = runtime::call_on(shard->id(), list_there);
    list_groups_response part = co_await call;
    if (part.error_code != 0) response.error_code = part.error_code;
    for (auto& group : part.groups) {
      if (!passes(request.states_filter, group.group_state) ||
          !passes(request.types_filter, group.group_type))
        continue;
      response.groups.push_back(std::move(group));
    }
  }
  co_return response;
}

}  // namespace

const api list_groups_api = make_api<handle>(0, 5);

}  // namespace millrace::broker
