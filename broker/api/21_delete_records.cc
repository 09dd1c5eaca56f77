// 21 DeleteRecords, v0-2. v2 flexible. Everything below an offset is to go; -1 means all that can be read.
// The new start is durable before the answer. Refused for topics whose policy does not delete, as Kafka does,
// and for those that hold a processor's own.
#include <vector>

#include "broker/api/all.h"
#include "broker/api/on_owners.h"
#include "broker/processing/processing.h"
#include "broker/shard_context.h"
#include "protocol/generated/delete_records_request.h"
#include "protocol/generated/delete_records_response.h"

namespace millrace::broker {
namespace {

using protocol::delete_records_request;
using protocol::delete_records_response;
using answered_partition = delete_records_response::delete_records_partition_result;

constexpr int64_t to_high_watermark = -1;

struct deletion {
  storage::topic_partition_id id;
  int64_t below;
  answered_partition* answer;
};

errc check(const shard_context& shard, const topic* t, int32_t partition) {
  if (t == nullptr || !t->has_partition(partition)) return errc::unknown_topic_or_partition;
  if (t->is_internal) return errc::invalid_topic_exception;
  if (shard.whole().processors->refusal_of_changes(shard.id(), t->name)) return errc::policy_violation;
  return t->settings.is_deleted_by_age ? errc::none : errc::policy_violation;
}

// On the owner's shard.
task<void> delete_all(storage::shard_store& store, std::vector<deletion>& deletions) {
  for (deletion& d : deletions) {
    const storage::partition_log* log = store.find(d.id);
    result<offset> start = fail(errc::unknown_topic_or_partition);
    if (log != nullptr) {
      const offset below = d.below == to_high_watermark ? log->high_watermark() : offset(d.below);
      if (below < offset(0)) {
        start = fail(errc::offset_out_of_range);
      } else {
        start = co_await store.advance_log_start(d.id, below);
      }
    }
    if (start) {
      d.answer->low_watermark = start->value();
    } else {
      d.answer->error_code = kafka_code(start.error().code);
    }
  }
}

task<result<delete_records_response>> handle(request_context& context, delete_records_request request) {
  const image_ptr image = context.shard.image();
  delete_records_response response;
  response.topics.resize(request.topics.size());
  by_owner<deletion> deletions;
  for (size_t i = 0; i < request.topics.size(); ++i) {
    const auto& asked = request.topics[i];
    auto& answered = response.topics[i];
    answered.name = asked.name;
    answered.partitions.reserve(asked.partitions.size());
    const topic* t = image->find(asked.name);
    for (const auto& p : asked.partitions) {
      answered_partition& answer = answered.partitions.emplace_back();
      answer.partition_index = p.partition_index;
      answer.low_watermark = -1;
      if (const errc code = check(context.shard, t, p.partition_index); code != errc::none) {
        answer.error_code = kafka_code(code);
        continue;
      }
      deletions[context.shard.owner(*t, p.partition_index)].push_back(
          {t->partition(p.partition_index), p.offset, &answer});
    }
  }
  co_await on_owners(context.shard, deletions, delete_all);
  co_return response;
}

}  // namespace

const api delete_records_api = make_api<handle>(0, 2);

}  // namespace millrace::broker
