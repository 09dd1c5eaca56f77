// 42 DeleteGroups, v0-3.
//
// v2 flexible; v3 an error message. Only a group without members goes, and its offsets with it.
#include "broker/api/all.h"
#include "broker/coord/host/group_call.h"
#include "protocol/generated/delete_groups_request.h"
#include "protocol/generated/delete_groups_response.h"

namespace millrace::broker {
namespace {

using protocol::delete_groups_request;
using protocol::delete_groups_response;

task<result<delete_groups_response>> handle(request_context& context, delete_groups_request request) {
  delete_groups_response response;
  for (const std::string_view group : request.groups_names) {
    const auto run = [group](coord::group_machine& m, coord::step& s, coord::reply_to<errc> reply) {
      m.remove_group(group, s, std::move(reply));
    };
    auto call = coord::ask_group<errc>(context, group, run);
    const result<errc> removed = co_await call;
    auto& entry = response.results.emplace_back();
    entry.group_id = group;
    entry.error_code = kafka_code(removed ? *removed : removed.error().code);
  }
  co_return response;
}

}  // namespace

const api delete_groups_api = make_api<handle>(0, 3);

}  // namespace millrace::broker
