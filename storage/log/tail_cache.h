// tail_cache: the newest batches of one partition, in memory.
//
//      front                                                          back
//      +-----------------------+----------------------+----------------+
//      | spilled: in a segment | unspilled, durable   | not yet durable|
//      | too, may be evicted   | pinned               | pinned, hidden |
//      +-----------------------+----------------------+----------------+
//                              ^ unspilled()          ^ high watermark
//
// Offsets are contiguous from front to back. The bytes are slices of the arena in which the frames were
// built; nothing is copied.
#pragma once

#include <cstdint>
#include <deque>

#include "base/assert.h"
#include "base/buffer.h"
#include "base/types.h"
#include "storage/fault.h"

namespace millrace::storage {

struct cached_batch {
  offset base{0};
  offset last{0};
  int64_t max_timestamp_ms = -1;
  lsn at{0};  // the frame that holds it; the newest one if it was relogged
  slice bytes;
};

class tail_cache {
 public:
  bool empty() const noexcept { return batches_.empty(); }
  size_t size() const noexcept { return batches_.size(); }
  const cached_batch& operator[](size_t i) const noexcept { return batches_[i]; }
  const cached_batch& front() const noexcept { return batches_.front(); }
  const cached_batch& back() const noexcept { return batches_.back(); }

  // Index of the first unspilled batch; size() if there is none.
  size_t unspilled() const noexcept { return unspilled_; }
  bool has_unspilled() const noexcept { return unspilled_ < batches_.size(); }
  uint64_t unspilled_bytes() const noexcept { return unspilled_bytes_; }
  uint64_t bytes() const noexcept { return bytes_; }

  void push(cached_batch batch) {
    MR_DCHECK(batches_.empty() || batch.base == batches_.back().last.next());
    bytes_ += batch.bytes.size();
    unspilled_bytes_ += batch.bytes.size();
    batches_.push_back(std::move(batch));
  }
  // The same bytes, now in a newer frame.
  void relocate(size_t i, lsn at, slice bytes) {
    MR_ASSERT(i >= unspilled_ && bytes.size() == batches_[i].bytes.size());
    batches_[i].at = at;
    batches_[i].bytes = std::move(bytes);
  }
  // The oldest `count` unspilled batches are in a segment now.
  void mark_spilled(size_t count) {
    for (size_t i = 0; i < count; ++i) unspilled_bytes_ -= batches_[unspilled_ + i].bytes.size();
    unspilled_ += count;
  }
  // Drops spilled batches of frames up to `through`; returns the bytes set free.
  uint64_t evict(lsn through) {
    uint64_t freed = 0;
    if (MILLRACE_FAULT(evict_unspilled) && has_unspilled() && batches_[unspilled_].at <= through)
      mark_spilled(1);
    while (unspilled_ > 0 && batches_.front().at <= through) {
      freed += batches_.front().bytes.size();
      batches_.pop_front();
      --unspilled_;
    }
    bytes_ -= freed;
    return freed;
  }

  // Drops spilled batches that end below `to`; returns the bytes set free.
  uint64_t drop_spilled_below(offset to) {
    uint64_t freed = 0;
    while (unspilled_ > 0 && batches_.front().last < to) {
      freed += batches_.front().bytes.size();
      batches_.pop_front();
      --unspilled_;
    }
    bytes_ -= freed;
    return freed;
  }

  // Index of the batch that holds `at`; size() if it is above all. Requires: not below front().base.
  size_t find(offset at) const noexcept {
    size_t low = 0, high = batches_.size();
    while (low < high) {
      const size_t middle = (low + high) / 2;
      if (batches_[middle].last < at) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

 private:
  std::deque<cached_batch> batches_;
  size_t unspilled_ = 0;
  uint64_t unspilled_bytes_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace millrace::storage
