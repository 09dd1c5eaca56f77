// compaction: which part of a log may be compacted, whether it is worth it, and what becomes one segment.
//
// Decides only, by Kafka's rules; store_core carries it out (clean.cc, swap.cc). A log consists of a part
// that was compacted before, one that may be now, and one that may not yet: the active segment, what is
// younger than min.compaction.lag.ms, and what an attached processor has not read. All keys of the second
// part are gathered, and the first two are written anew without what those keys supersede.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "storage/log/partition_log.h"
#include "storage/retention.h"

namespace millrace::storage {

struct compaction_scope {
  offset from{0};   // keys are gathered from here
  offset below{0};  // and up to here; the end of a segment, or of what will be one
  uint64_t clean_bytes = 0;
  uint64_t dirty_bytes = 0;  // of [from, below)
  bool is_overdue = false;   // it holds a record older than max.compaction.lag.ms

  double dirty_ratio() const noexcept {
    const uint64_t all = clean_bytes + dirty_bytes;
    return all == 0 ? 0 : static_cast<double>(dirty_bytes) / static_cast<double>(all);
  }
  bool is_worth_it(const partition_config& config) const noexcept {
    return dirty_bytes > 0 && (is_overdue || dirty_ratio() > config.dirty_ratio_min);
  }
};

// Nothing at or above `held_from` is in scope, within the limits (retention.h): beyond
// hold_limits::bytes_max, or older than ms_max, it is.
compaction_scope compaction_scope_of(const partition_log& log, int64_t now_ms,
                                     std::optional<offset> held_from, const hold_limits& limits);

// Consecutive segments that are written into one: by their number, [first, first + count).
struct segment_group {
  size_t first = 0;
  size_t count = 0;
};

// All segments that begin below `below`, the active one excepted. A group would fit segment.bytes and
// segment.index.bytes even if nothing of it went.
std::vector<segment_group> compaction_groups(const partition_log& log, offset below);

}  // namespace millrace::storage
