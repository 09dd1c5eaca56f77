// epoch_cache: at which offset each leader epoch of a partition began.
#pragma once

#include <cstdint>
#include <vector>

#include "base/types.h"

namespace millrace::storage {

struct epoch_start {
  leader_epoch epoch{0};
  offset start{0};
  bool operator==(const epoch_start&) const = default;
};

// Answer to OffsetForLeaderEpoch: the largest epoch <= the asked one, and where it ended.
struct epoch_end {
  leader_epoch epoch{-1};
  offset end = no_offset;
};

// Invariant: epochs and starts both increase.
class epoch_cache {
 public:
  // A batch of `epoch` begins at `start`. Only the first of an epoch is remembered.
  void note(leader_epoch epoch, offset start) {
    if (!starts_.empty() && epoch <= starts_.back().epoch) return;
    if (!starts_.empty() && starts_.back().start == start) starts_.pop_back();  // nothing was written in it
    starts_.push_back({epoch, start});
  }

  // Nothing known at or below `asked`: epoch -1, end -1, as Kafka answers.
  epoch_end end_of(leader_epoch asked, leader_epoch current, offset log_end) const {
    if (asked == current) return {current, log_end};
    if (asked > current) return {};
    for (size_t i = starts_.size(); i-- > 0;) {
      if (starts_[i].epoch > asked) continue;
      const offset end = i + 1 < starts_.size() ? starts_[i + 1].start : log_end;
      return {starts_[i].epoch, end};
    }
    return {};
  }

  // Of the record at `at`.
  leader_epoch epoch_at(offset at) const {
    for (size_t i = starts_.size(); i-- > 0;)
      if (starts_[i].start <= at) return starts_[i].epoch;
    return leader_epoch(-1);
  }

  const std::vector<epoch_start>& starts() const noexcept { return starts_; }
  void restore(std::vector<epoch_start> starts) { starts_ = std::move(starts); }

 private:
  std::vector<epoch_start> starts_;
};

}  // namespace millrace::storage
