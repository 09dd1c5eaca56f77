// partition_reader: reads what one fetch wants from the partitions of one shard.
//
// Runs on: the shard that owns the partitions.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/buffer.h"
#include "base/errc.h"
#include "runtime/task.h"
#include "storage/shard_store.h"

namespace millrace::broker {

struct partition_read {
  storage::topic_partition_id id;
  int64_t offset = 0;
  int32_t bytes_max = 0;
  int32_t leader_epoch = -1;        // the client's idea of it; -1: none
  int32_t last_fetched_epoch = -1;  // of the record before `offset`; -1: do not check
};

struct partition_data {
  errc error = errc::none;
  int64_t high_watermark = -1;
  int64_t last_stable = -1;
  int64_t log_start = -1;
  iobuf records;
  std::optional<storage::epoch_end> diverging;

  int64_t end(storage::read_bound bound) const noexcept {
    return bound == storage::read_bound::high_watermark ? high_watermark : last_stable;
  }
};

// One entry for each of `wanted`, in order. Together at most `bytes_max` of records, except that the first
// batch found is given whole if `is_first_whole`.
runtime::task<std::vector<partition_data>> read_partitions(storage::shard_store& store,
                                                           std::vector<partition_read> wanted,
                                                           storage::read_bound bound, int64_t bytes_max,
                                                           bool is_first_whole);

// Whether a client's leader epoch is the partition's: none, fenced_leader_epoch or unknown_leader_epoch.
errc check_leader_epoch(const storage::partition_log& log, int32_t asked) noexcept;

}  // namespace millrace::broker
