// batch_filter: what compaction keeps of a log, batch by batch, by Kafka's rules (LogCleaner; KIP-534 for the
// time at which a tombstone goes).
//
// First gather() sees the batches whose keys count, in the order of the log; then filter() sees all batches
// from the log's start on. A record goes if a later one of the gathered stretch has its key, or if it has no
// key, or if it is a tombstone whose time is over. A batch that keeps all its records stays byte for byte.
// Otherwise it keeps its base and last offset, its producer and its sequence numbers, so that offsets
// stay what they were; it goes when it is empty, unless it is the last that its producer wrote: that one
// stays without records, so that the producer's sequence can be read off the log. A batch with tombstones
// is stamped with the time until which they stay when it is filtered for the first time.
//
// Of a transaction the marker stays until all its records are gone, and then as long as a tombstone. A log
// with aborted transactions is not filtered: what is aborted is not known to readers here.
//
// Pure: no I/O, no clock. Batches are believed to be intact. May run on a helper thread.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/buffer.h"
#include "base/result.h"
#include "base/types.h"
#include "protocol/record_batch.h"
#include "storage/log/key_map.h"

namespace millrace::storage {

struct filter_rules {
  int64_t now_ms = 0;
  int64_t delete_retention_ms = 0;  // delete.retention.ms
  // The last batch of each producer, by the last offset in it.
  std::unordered_map<int64_t, int64_t> last_of_producer;
};

class batch_filter {
 public:
  batch_filter(filter_rules rules, key_map& keys) : rules_(std::move(rules)), keys_(keys) {}

  // Notes the keys of whole batches from `from` on; false once there is no room for more. Error:
  // not_supported for an aborted transaction; those of decompression.
  result<bool> gather(const slice& batches, offset from);
  // Keys at and above this offset were not gathered; their records all stay.
  offset gathered_end() const noexcept { return gathered_end_; }

  // Appends to `out` what stays of whole batches.
  result<void> filter(const slice& batches, std::vector<std::byte>& out);
  // Whether anything differed from what came in.
  bool has_changed() const noexcept { return has_changed_; }
  void begin_segments() noexcept { has_changed_ = false; }

 private:
  result<bool> gather_batch(const slice& batch, const protocol::batch_header& h, offset from);
  result<void> filter_batch(const slice& batch, const protocol::batch_header& h, std::vector<std::byte>& out);
  result<void> filter_marker(const slice& batch, const protocol::batch_header& h,
                             std::vector<std::byte>& out);
  result<void> rewrite(const protocol::batch_header& h, const slice& plain, const std::vector<bool>& stays,
                       int64_t horizon_ms, std::vector<std::byte>& out);
  void empty(const protocol::batch_header& h, std::vector<std::byte>& out);
  bool is_last_of_producer(const protocol::batch_header& h) const;
  bool stays(const protocol::batch_header& h, const struct record_place& record) const;

  filter_rules rules_;
  key_map& keys_;
  offset gathered_end_{0};
  bool is_full_ = false;
  bool has_changed_ = false;
  // Producers with a transaction that is not decided yet: whether any of its records has stayed.
  std::unordered_map<int64_t, bool> open_;
};

}  // namespace millrace::storage
