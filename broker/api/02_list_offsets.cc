// 2 ListOffsets, v1-11.
//
// v1 one offset a partition; v2 isolation; v4 leader epochs; v6 flexible; v7 max timestamp (-3); v8 earliest
// local
// (-4); v9 latest tiered (-5); v10 timeout; v11 earliest pending upload (-6). There is no tiered storage, so
// -4 is the log start and -5, -6 are nowhere. A special timestamp in a version too low for it:
// UNSUPPORTED_VERSION.
#include <algorithm>
#include <set>
#include <vector>

#include "broker/api/all.h"
#include "broker/api/on_owners.h"
#include "broker/fetch/partition_reader.h"
#include "broker/shard_context.h"
#include "protocol/generated/list_offsets_request.h"
#include "protocol/generated/list_offsets_response.h"

namespace millrace::broker {
namespace {

using protocol::list_offsets_request;
using protocol::list_offsets_response;
using asked_partition = list_offsets_request::list_offsets_partition;
using answered_partition = list_offsets_response::list_offsets_partition_response;

constexpr int64_t latest = -1;
constexpr int64_t earliest = -2;
constexpr int64_t max_timestamp = -3;
constexpr int64_t earliest_local = -4;
constexpr int64_t latest_tiered = -5;
constexpr int64_t earliest_pending_upload = -6;

bool is_known_timestamp(int64_t timestamp, int16_t version) {
  if (timestamp >= earliest) return true;
  if (timestamp == max_timestamp) return version >= 7;
  if (timestamp == earliest_local) return version >= 8;
  if (timestamp == latest_tiered) return version >= 9;
  return timestamp == earliest_pending_upload && version >= 11;
}

void put(answered_partition& answer, const result<std::optional<storage::timestamped_offset>>& found) {
  if (!found) {
    answer.error_code = kafka_code(found.error().code);
  } else if (*found) {
    answer.offset = (*found)->offset.value();
    answer.timestamp = (*found)->timestamp_ms;
    answer.leader_epoch = (*found)->epoch.value();
  }
}

// One partition to look up, on its owner.
struct lookup {
  storage::topic_partition_id id;
  int64_t timestamp;
  int32_t leader_epoch;
  answered_partition* answer;
};

task<void> look_up(storage::shard_store& store, lookup& l, storage::read_bound bound) {
  storage::partition_log* log = store.find(l.id);
  if (log == nullptr) {
    l.answer->error_code = kafka_code(errc::unknown_topic_or_partition);
    co_return;
  }
  if (const errc code = check_leader_epoch(*log, l.leader_epoch); code != errc::none) {
    l.answer->error_code = kafka_code(code);
    co_return;
  }
  switch (l.timestamp) {
    case latest:
      l.answer->offset = bound == storage::read_bound::high_watermark ? log->high_watermark().value()
                                                                      : log->last_stable().value();
      l.answer->leader_epoch = log->epoch().value();
      break;
    case earliest:
    case earliest_local:
      l.answer->offset = log->log_start().value();
      l.answer->leader_epoch = log->epoch().value();
      break;
    case max_timestamp: {
      const auto found = co_await store.find_max_timestamp(*log);
      put(*l.answer, found);
      break;
    }
    case latest_tiered:
    case earliest_pending_upload:
      break;
    default: {
      const auto found = co_await store.find_timestamp(*log, l.timestamp, bound);
      put(*l.answer, found);
      break;
    }
  }
}

task<void> look_up_all(storage::shard_store& store, std::vector<lookup>& lookups, storage::read_bound bound) {
  for (lookup& l : lookups) co_await look_up(store, l, bound);
}

// Kafka refuses a partition that is named twice, each time.
std::set<std::pair<std::string_view, int32_t>> duplicates_in(const list_offsets_request& request) {
  std::set<std::pair<std::string_view, int32_t>> seen;
  std::set<std::pair<std::string_view, int32_t>> twice;
  for (const auto& t : request.topics) {
    for (const auto& p : t.partitions) {
      if (!seen.emplace(t.name, p.partition_index).second) twice.emplace(t.name, p.partition_index);
    }
  }
  return twice;
}

task<result<list_offsets_response>> handle(request_context& context, list_offsets_request request) {
  const image_ptr image = context.shard.image();
  const auto bound =
      request.isolation_level == 1 ? storage::read_bound::last_stable : storage::read_bound::high_watermark;
  const auto duplicates = duplicates_in(request);

  list_offsets_response response;
  response.topics.resize(request.topics.size());
  by_owner<lookup> lookups;
  for (size_t i = 0; i < request.topics.size(); ++i) {
    const auto& asked = request.topics[i];
    auto& answered = response.topics[i];
    answered.name = asked.name;
    const topic* t = image->find(asked.name);
    answered.partitions.reserve(asked.partitions.size());
    for (const asked_partition& p : asked.partitions) {
      answered_partition& answer = answered.partitions.emplace_back();
      answer.partition_index = p.partition_index;
      if (duplicates.contains({asked.name, p.partition_index})) {
        answer.error_code = kafka_code(errc::invalid_request);
      } else if (t == nullptr || !t->has_partition(p.partition_index)) {
        answer.error_code = kafka_code(errc::unknown_topic_or_partition);
      } else if (!is_known_timestamp(p.timestamp, context.version())) {
        answer.error_code = kafka_code(errc::unsupported_version);
      } else {
        lookups[context.shard.owner(*t, p.partition_index)].push_back(
            {t->partition(p.partition_index), p.timestamp, p.current_leader_epoch, &answer});
      }
    }
  }
  const auto look_there = [bound](storage::shard_store& store, std::vector<lookup>& its) {
    return look_up_all(store, its, bound);
  };
  co_await on_owners(context.shard, lookups, look_there);
  co_return response;
}

}  // namespace

const api list_offsets_api = make_api<handle>(1, 11);

}  // namespace millrace::broker
