// 45 AlterPartitionReassignments, v0-1. v1 whether the number of replicas may change. This broker is the only
// one, so the only assignment there can be is the one there is: asking for it is fine and changes nothing,
// and nothing is under way that could be cancelled.
#include "broker/api/all.h"
#include "broker/api/assignment.h"
#include "broker/shard_context.h"
#include "protocol/generated/alter_partition_reassignments_request.h"
#include "protocol/generated/alter_partition_reassignments_response.h"

namespace millrace::broker {
namespace {

using protocol::alter_partition_reassignments_request;
using protocol::alter_partition_reassignments_response;

result<void> check(const topic* t, std::string_view name,
                   const alter_partition_reassignments_request::reassignable_partition& asked,
                   int32_t node_id) {
  if (t == nullptr) return fail(errc::unknown_topic_or_partition, "Unable to find a topic named {}.", name);
  if (!t->has_partition(asked.partition_index))
    return fail(errc::unknown_topic_or_partition, "Unable to find partition {}:{}.", name,
                asked.partition_index);
  if (!asked.replicas) return fail(errc::no_reassignment_in_progress);
  return check_assignment(*asked.replicas, node_id);
}

task<result<alter_partition_reassignments_response>> handle(request_context& context,
                                                            alter_partition_reassignments_request request) {
  const image_ptr image = context.shard.image();
  alter_partition_reassignments_response response;
  response.error_message = std::nullopt;
  response.allow_replication_factor_change = request.allow_replication_factor_change;
  for (const auto& asked : request.topics) {
    auto& answered = response.responses.emplace_back();
    answered.name = asked.name;
    const topic* t = image->find(asked.name);
    for (const auto& partition : asked.partitions) {
      auto& answer = answered.partitions.emplace_back();
      answer.partition_index = partition.partition_index;
      answer.error_message = std::nullopt;
      const result<void> checked = check(t, asked.name, partition, context.shard.config().node_id);
      if (checked) continue;
      answer.error_code = kafka_code(checked.error().code);
      if (!checked.error().message.empty()) answer.error_message = checked.error().message;
    }
  }
  co_return response;
}

}  // namespace

const api alter_partition_reassignments_api = make_api<handle>(0, 1);

}  // namespace millrace::broker
