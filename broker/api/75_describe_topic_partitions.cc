// 75 DescribeTopicPartitions, v0: topics sorted by name, a page at a time.
//
// A cursor names the first partition of the next page. An empty list of topics means all.
#include <algorithm>
#include <set>

#include "broker/api/all.h"
#include "broker/api/operations.h"
#include "broker/metadata/image.h"
#include "broker/shard_context.h"
#include "protocol/generated/describe_topic_partitions_request.h"
#include "protocol/generated/describe_topic_partitions_response.h"

namespace millrace::broker {
namespace {

using protocol::describe_topic_partitions_request;
using protocol::describe_topic_partitions_response;

describe_topic_partitions_response::describe_topic_partitions_response_topic refuse(std::string_view name) {
  describe_topic_partitions_response::describe_topic_partitions_response_topic out;
  const bool is_name = topic_name_fault(name).empty();
  out.error_code = kafka_code(is_name ? errc::unknown_topic_or_partition : errc::invalid_topic_exception);
  out.name = std::string(name);
  return out;
}

// Partitions [from, from + count) of a topic.
describe_topic_partitions_response::describe_topic_partitions_response_topic describe(
    const topic& t, int32_t epoch, int32_t node_id, int32_t from, int32_t count) {
  describe_topic_partitions_response::describe_topic_partitions_response_topic out;
  out.name = t.name;
  out.topic_id = t.id;
  out.is_internal = t.is_internal;
  out.topic_authorized_operations = topic_operations;
  for (int32_t p = from; p < from + count; ++p) {
    auto& partition = out.partitions.emplace_back();
    partition.partition_index = p;
    partition.leader_id = node_id;
    partition.leader_epoch = epoch;
    partition.replica_nodes = {node_id};
    partition.isr_nodes = {node_id};
    partition.eligible_leader_replicas.emplace();
    partition.last_known_elr.emplace();
  }
  return out;
}

describe_topic_partitions_response::cursor cursor_at(std::string_view name, int32_t partition) {
  return {.topic_name = std::string(name), .partition_index = partition};
}

std::set<std::string_view> names_asked(const describe_topic_partitions_request& request,
                                       const metadata_image& image) {
  std::set<std::string_view> names;
  for (const auto& t : request.topics) names.insert(t.name);
  if (request.topics.empty()) {
    for (const topic_ptr& t : image.topics()) names.insert(t->name);
  }
  if (request.cursor) names.erase(names.begin(), names.lower_bound(request.cursor->topic_name));
  return names;
}

task<result<describe_topic_partitions_response>> handle(request_context& context,
                                                        describe_topic_partitions_request request) {
  const settings& config = context.shard.config();
  const image_ptr image = context.shard.image();
  describe_topic_partitions_response response;
  int32_t room = std::clamp(request.response_partition_limit, 1, config.partitions_per_answer_max);
  for (const std::string_view name : names_asked(request, *image)) {
    const topic* t = image->find(name);
    if (t == nullptr) {
      // Of all topics, one that is gone by now is no error.
      if (!request.topics.empty()) response.topics.push_back(refuse(name));
      continue;
    }
    const bool is_resumed = request.cursor && request.cursor->topic_name == name;
    const int32_t from = is_resumed ? std::clamp(request.cursor->partition_index, 0, t->partitions) : 0;
    if (room == 0) {
      response.next_cursor = cursor_at(name, from);
      break;
    }
    const int32_t count = std::min(room, t->partitions - from);
    response.topics.push_back(describe(*t, image->epoch().value(), config.node_id, from, count));
    room -= count;
    if (from + count < t->partitions) {
      response.next_cursor = cursor_at(name, from + count);
      break;
    }
  }
  co_return response;
}

}  // namespace

const api describe_topic_partitions_api = make_api<handle>(0, 0);

}  // namespace millrace::broker
