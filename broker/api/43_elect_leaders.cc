// 43 ElectLeaders, v0-2. v1 the kind of election; v2 flexible. Every partition has one replica, which leads:
// an election is never needed. Of "all partitions" those that need none are left out, which leaves nothing.
#include "broker/api/all.h"
#include "broker/shard_context.h"
#include "protocol/generated/elect_leaders_request.h"
#include "protocol/generated/elect_leaders_response.h"

namespace millrace::broker {
namespace {

using protocol::elect_leaders_request;
using protocol::elect_leaders_response;

constexpr int8_t unclean_election = 1;  // 0: the preferred leader

error outcome(const topic* t, std::string_view name, int32_t partition) {
  if (t == nullptr) return {errc::unknown_topic_or_partition, fmt::format("No such topic as {}", name)};
  if (!t->has_partition(partition))
    return {errc::unknown_topic_or_partition, fmt::format("No such partition as {}-{}", name, partition)};
  return {errc::election_not_needed, {}};
}

task<result<elect_leaders_response>> handle(request_context& context, elect_leaders_request request) {
  elect_leaders_response response;
  if (request.election_type < 0 || request.election_type > unclean_election) {
    response.error_code = kafka_code(errc::invalid_request);
    co_return response;
  }
  if (!request.topic_partitions) co_return response;
  const image_ptr image = context.shard.image();
  for (const auto& asked : *request.topic_partitions) {
    auto& answered = response.replica_election_results.emplace_back();
    answered.topic = asked.topic;
    const topic* t = image->find(asked.topic);
    for (const int32_t partition : asked.partitions) {
      const error why = outcome(t, asked.topic, partition);
      auto& answer = answered.partition_result.emplace_back();
      answer.partition_id = partition;
      answer.error_code = kafka_code(why.code);
      answer.error_message = why.message.empty() ? std::nullopt : std::optional(why.message);
    }
  }
  co_return response;
}

}  // namespace

const api elect_leaders_api = make_api<handle>(0, 2);

}  // namespace millrace::broker
