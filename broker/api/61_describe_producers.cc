// 61 DescribeProducers, v0: who writes to partitions with a producer id, as far as their sequences are
// remembered.
#include <vector>

#include "broker/api/all.h"
#include "broker/api/on_owners.h"
#include "broker/shard_context.h"
#include "protocol/generated/describe_producers_request.h"
#include "protocol/generated/describe_producers_response.h"

namespace millrace::broker {
namespace {

using protocol::describe_producers_request;
using protocol::describe_producers_response;
using answered_partition = describe_producers_response::partition_response;

struct lookup {
  storage::topic_partition_id id;
  answered_partition* answer;
};

void refuse(answered_partition& answer) {
  answer.error_code = kafka_code(errc::unknown_topic_or_partition);
  answer.error_message = "This server does not host this topic-partition.";
}

void look_up(storage::shard_store& store, const lookup& l) {
  const storage::partition_log* log = store.find(l.id);
  if (log == nullptr) return refuse(*l.answer);
  for (const auto& [id, producer] : log->producers().entries()) {
    const bool has_written = producer.count > 0;
    l.answer->active_producers.push_back({.producer_id = id.value(),
                                          .producer_epoch = producer.epoch,
                                          .last_sequence = has_written ? producer.newest().last_sequence : -1,
                                          .last_timestamp = has_written ? producer.newest().timestamp_ms : -1,
                                          .coordinator_epoch = -1});
  }
}

void look_up_all(storage::shard_store& store, std::vector<lookup>& lookups) {
  for (const lookup& l : lookups) look_up(store, l);
}

task<result<describe_producers_response>> handle(request_context& context,
                                                 describe_producers_request request) {
  const image_ptr image = context.shard.image();
  describe_producers_response response;
  response.topics.resize(request.topics.size());
  by_owner<lookup> lookups;
  for (size_t i = 0; i < request.topics.size(); ++i) {
    const auto& asked = request.topics[i];
    auto& answered = response.topics[i];
    answered.name = asked.name;
    answered.partitions.reserve(asked.partition_indexes.size());
    const topic* t = image->find(asked.name);
    for (const int32_t partition : asked.partition_indexes) {
      answered_partition& answer = answered.partitions.emplace_back();
      answer.partition_index = partition;
      if (t == nullptr || !t->has_partition(partition)) {
        refuse(answer);
        continue;
      }
      lookups[context.shard.owner(*t, partition)].push_back({t->partition(partition), &answer});
    }
  }
  co_await on_owners(context.shard, lookups, look_up_all);
  co_return response;
}

}  // namespace

const api describe_producers_api = make_api<handle>(0, 0);

}  // namespace millrace::broker
