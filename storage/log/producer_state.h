// producer_state: what one partition knows of the idempotent producers that write to it.
//
// Per producer id: its epoch and its last five batches, enough to recognise a retry of anything that a
// client may have in flight. The rules, in the order they are checked, are Kafka's:
//
//   1. same epoch, same first and last sequence as a kept batch   a duplicate: answered, not written
//   2. an older epoch                                             invalid_producer_epoch
//   3. a newer epoch                                              must start at sequence 0
//   4. the same epoch                                             must follow the last sequence
//   5. nothing known of this producer                             anything goes
//
// Sequences count records, are int32 and wrap from 2^31-1 to 0; a batch may wrap inside.
//
// A kept batch remembers its frame: a duplicate is answered only when the original is durable, for until
// then a crash may still unsay it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "base/result.h"
#include "base/types.h"

namespace millrace::storage {

inline constexpr int producer_batches_kept = 5;

// One accepted batch.
struct producer_batch {
  int32_t first_sequence = -1;
  int32_t last_sequence = -1;
  offset base_offset = no_offset;
  offset last_offset = no_offset;
  int64_t timestamp_ms = -1;  // its max timestamp: what a duplicate reports on LogAppendTime topics
  lsn durable_at{0};          // 0: recovered, hence durable
};

struct producer_entry {
  int16_t epoch = -1;
  uint8_t count = 0;  // of batches, oldest first
  std::array<producer_batch, producer_batches_kept> batches{};
  int64_t last_written_ms = 0;  // wall clock; for expiry

  const producer_batch& newest() const noexcept { return batches[count - 1]; }
  void push(const producer_batch& batch) noexcept;
};

// The sequence `delta` records after `first`.
constexpr int32_t sequence_plus(int32_t first, int32_t delta) noexcept {
  return static_cast<int32_t>((static_cast<uint32_t>(first) + static_cast<uint32_t>(delta)) & 0x7fffffffu);
}

class producer_state {
 public:
  // The original if this is a duplicate; nothing if the batch may be written; else why not.
  result<std::optional<producer_batch>> check(producer_id id, producer_epoch epoch, int32_t first_sequence,
                                              int32_t record_count) const;
  // Records a batch that was written (or is replayed).
  void update(producer_id id, producer_epoch epoch, const producer_batch& batch, int64_t now_ms);
  // Forgets producers that have not written since `before_ms`.
  void expire(int64_t before_ms);

  size_t size() const noexcept { return entries_.size(); }
  const std::unordered_map<producer_id, producer_entry>& entries() const noexcept { return entries_; }
  void restore(producer_id id, const producer_entry& entry) { entries_[id] = entry; }

 private:
  std::unordered_map<producer_id, producer_entry> entries_;
};

}  // namespace millrace::storage
