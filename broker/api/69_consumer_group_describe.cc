// 69 ConsumerGroupDescribe, v0-1.
//
// v1 tells which protocol a member has come with.
#include "broker/api/all.h"
#include "broker/api/operations.h"
#include "broker/coord/host/group_call.h"
#include "protocol/generated/consumer_group_describe_request.h"
#include "protocol/generated/consumer_group_describe_response.h"

namespace millrace::broker {
namespace {

using protocol::consumer_group_describe_request;
using protocol::consumer_group_describe_response;

task<result<consumer_group_describe_response>> handle(request_context& context,
                                                      consumer_group_describe_request request) {
  consumer_group_describe_response response;
  for (const std::string_view group : request.group_ids) {
    const auto run = [group](coord::group_machine& m, coord::step& s,
                             coord::reply_to<coord::consumer_describe_result> reply) {
      m.consumer_describe(group, s, std::move(reply));
    };
    auto call = coord::ask_group<coord::consumer_describe_result>(context, group, run);
    result<coord::consumer_describe_result> described = co_await call;
    auto& entry = response.groups.emplace_back();
    if (described) {
      entry = std::move(*described);
      if (request.include_authorized_operations) entry.authorized_operations = group_operations;
    } else {
      entry.group_id = group;
      entry.error_code = kafka_code(described.error().code);
      entry.error_message = described.error().message;
    }
  }
  co_return response;
}

}  // namespace

const api consumer_group_describe_api = make_api<handle>(0, 1);

}  // namespace millrace::broker
