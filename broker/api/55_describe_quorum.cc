// 55 DescribeQuorum, v0-2: who keeps the metadata. v1 times of fetches; v2 directory ids, error messages,
// endpoints.
//
// This broker alone: it leads, is its only voter, and has everything that there is. "Offsets" of its metadata
// log are numbers of durable changes, and the epoch is the one that its partitions have.
#include "broker/api/all.h"
#include "broker/metadata/topic_registry.h"
#include "broker/shard_context.h"
#include "protocol/generated/describe_quorum_request.h"
#include "protocol/generated/describe_quorum_response.h"
#include "runtime/reactor.h"
#include "runtime/shards.h"

namespace millrace::broker {
namespace {

using protocol::describe_quorum_request;
using protocol::describe_quorum_response;

constexpr std::string_view metadata_topic = "__cluster_metadata";

task<result<describe_quorum_response>> handle(request_context& context, describe_quorum_request request) {
  const int32_t node_id = context.shard.config().node_id;
  const topic_registry& topics = *context.shard.whole().topics;
  const auto ask_end = [&topics] { return topics.metadata_end(); };
  const int64_t end = co_await runtime::call_on(shard_id(0), ask_end);
  const int64_t now_ms = runtime::reactor::current().wall_clock_ms();

  describe_quorum_response response;
  response.error_message = std::nullopt;
  for (const auto& asked : request.topics) {
    auto& answered = response.topics.emplace_back();
    answered.topic_name = asked.topic_name;
    for (const auto& partition : asked.partitions) {
      auto& answer = answered.partitions.emplace_back();
      answer.partition_index = partition.partition_index;
      answer.error_message = std::nullopt;
      if (asked.topic_name != metadata_topic || partition.partition_index != 0) {
        answer.error_code = kafka_code(errc::unknown_topic_or_partition);
        answer.error_message = "This server does not host this topic-partition.";
        continue;
      }
      answer.leader_id = node_id;
      answer.leader_epoch = context.shard.image()->epoch().value();
      answer.high_watermark = end;
      answer.current_voters.push_back({.replica_id = node_id,
                                       .log_end_offset = end,
                                       .last_fetch_timestamp = now_ms,
                                       .last_caught_up_timestamp = now_ms});
    }
  }
  auto& node = response.nodes.emplace_back();
  node.node_id = node_id;
  node.listeners.push_back(
      {.name = context.advertised.name, .host = context.advertised.host, .port = context.advertised.port});
  co_return response;
}

}  // namespace

const api describe_quorum_api = make_api<handle>(0, 2);

}  // namespace millrace::broker
