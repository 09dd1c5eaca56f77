// retention: up to where a partition's records may go, by retention.bytes and retention.ms.
//
// Decides only; store_core (retain.cc) carries it out. As in Kafka whole segments go, the oldest first: those
// without which the log is still as large as retention.bytes, then those whose largest timestamp (or, where
// records have none, last write) is longer ago than retention.ms. The active segment goes, too, if all of it
// is too old. Batches that are not in segments yet count as what they will be: a part of the active segment,
// or further ones.
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/clock.h"
#include "storage/log/partition_log.h"

namespace millrace::storage {

struct hold_limits {
  uint64_t bytes_max = 0;
  int64_t ms_max = 0;
};

// The new log start; the present one if nothing is to go. Nothing at or above `held_from` goes, except what
// is beyond the limits: the oldest of it if more than bytes_max would be left for the holder, and what should
// have gone ms_max ago.
offset retention_point(const partition_log& log, int64_t now_ms, std::optional<offset> held_from,
                       const hold_limits& limits);

// The wall clock as retention believes it. A step forward (somebody sets the date, or it was wrong before)
// must not delete at once what would have been kept: so this clock goes at most twice as fast as the
// monotonic one until it has caught up. A step backward is followed at once, as it only makes things live
// longer.
class retention_clock {
 public:
  int64_t read(int64_t wall_ms, runtime::time_point now);

 private:
  std::optional<int64_t> believed_ms_;
  runtime::time_point read_at_{};
};

}  // namespace millrace::storage
