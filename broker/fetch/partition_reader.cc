#include "broker/fetch/partition_reader.h"

#include <algorithm>
#include <utility>

namespace millrace::broker {
namespace {

// What can be told without reading records. An error means that there is nothing to read.
partition_data look_at(const storage::partition_log& log, const partition_read& wanted) {
  partition_data data;
  data.error = check_leader_epoch(log, wanted.leader_epoch);
  if (data.error != errc::none) return data;
  if (wanted.offset < log.log_start().value() || wanted.offset > log.log_end().value()) {
    data.error = errc::offset_out_of_range;
    return data;
  }
  data.high_watermark = log.high_watermark().value();
  data.last_stable = log.last_stable().value();
  data.log_start = log.log_start().value();
  if (wanted.last_fetched_epoch >= 0) {
    const storage::epoch_end end = log.end_of_epoch(leader_epoch(wanted.last_fetched_epoch));
    if (end.epoch.value() != wanted.last_fetched_epoch || end.end.value() < wanted.offset)
      data.diverging = end;
  }
  return data;
}

}  // namespace

errc check_leader_epoch(const storage::partition_log& log, int32_t asked) noexcept {
  if (asked < 0 || asked == log.epoch().value()) return errc::none;
  return asked < log.epoch().value() ? errc::fenced_leader_epoch : errc::unknown_leader_epoch;
}

runtime::task<std::vector<partition_data>> read_partitions(storage::shard_store& store,
                                                           std::vector<partition_read> wanted,
                                                           storage::read_bound bound, int64_t bytes_max,
                                                           bool is_first_whole) {
  std::vector<partition_data> all;
  all.reserve(wanted.size());
  int64_t left = bytes_max;
  bool is_first = is_first_whole;
  for (const partition_read& one : wanted) {
    storage::partition_log* log = store.find(one.id);
    if (log == nullptr) {
      all.push_back({.error = errc::unknown_topic_or_partition});
      continue;
    }
    partition_data data = look_at(*log, one);
    const bool is_at_end = one.offset >= data.end(bound);
    const int64_t room = std::min<int64_t>(left, std::max(0, one.bytes_max));
    if (data.error == errc::none && !data.diverging && !is_at_end && (is_first || room > 0)) {
      const storage::read_request request{.from = offset(one.offset),
                                          .bytes_max = static_cast<uint32_t>(room),
                                          .at_least_one_batch = is_first,
                                          .bound = bound};
      // Most consumers read what was just written; that needs no coroutine.
      std::optional<result<storage::fetched>> read = store.read_cached(*log, request);
      if (!read) read = co_await store.read(*log, request);
      if (*read) {
        storage::fetched& got = **read;
        data.high_watermark = got.high_watermark.value();
        data.last_stable = got.last_stable.value();
        data.log_start = got.log_start.value();
        left -= std::min<int64_t>(left, static_cast<int64_t>(got.records.size()));
        if (!got.records.empty()) is_first = false;
        data.records = std::move(got.records);
      } else {
        data = {.error = read->error().code};
      }
    }
    all.push_back(std::move(data));
  }
  co_return all;
}

}  // namespace millrace::broker
