// partition_log: one partition's ordered record batches.
//
// Owns offsets, the high watermark (= what is durable), leader epochs, producer state, the batches still
// in memory and the list of segments. Owns no file and starts no I/O: shard_store writes and reads on
// its behalf. Runs on: owner shard only.
//
// Invariants
//   1. log_start <= last_stable <= high_watermark <= log_end
//   2. the high watermark never passes what a power cut would leave (durability `sync`)
//   3. an appended batch begins where the one before it ended; segments may have gaps, also between them
//   4. segments end where the unspilled batches begin
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/types.h"
#include "storage/log/epoch_cache.h"
#include "storage/log/name_lock.h"
#include "storage/log/producer_state.h"
#include "storage/log/segment.h"
#include "storage/log/tail_cache.h"
#include "storage/types.h"

namespace millrace::storage {

class partition_log;

// Wants to hear when a partition's readable end moves: a waiting fetch, a processor that lags.
class log_watcher {
 public:
  // The high watermark (or last stable offset) moved. Called from the commit's completion: be short, do
  // not append; unlinking watches is fine.
  virtual void log_advanced(partition_log& log) = 0;
  // The partition is going away; the watch is already unlinked.
  virtual void log_removed(partition_log& log) = 0;

 protected:
  ~log_watcher() = default;
};

// One watcher's place in one partition's list. Unlinks itself when destroyed.
class log_watch {
 public:
  log_watch() = default;
  log_watch(partition_log& log, log_watcher& watcher) { link(log, watcher); }
  ~log_watch() { unlink(); }
  log_watch(const log_watch&) = delete;
  log_watch& operator=(const log_watch&) = delete;

  void link(partition_log& log, log_watcher& watcher);
  void unlink() noexcept;
  bool is_linked() const noexcept { return previous_ != nullptr; }

 private:
  friend class partition_log;
  log_watch* previous_ = nullptr;
  log_watch* next_ = nullptr;
  log_watcher* watcher_ = nullptr;
};

class partition_log {
 public:
  partition_log(partition_spec spec, leader_epoch epoch);
  // Tells the watchers that it goes.
  ~partition_log();
  partition_log(const partition_log&) = delete;
  partition_log& operator=(const partition_log&) = delete;

  const topic_partition_id& id() const noexcept { return spec_.id; }
  const std::string& topic_name() const noexcept { return spec_.topic_name; }
  int32_t partition() const noexcept { return spec_.id.partition; }
  const partition_config& config() const noexcept { return spec_.config; }

  offset log_start() const noexcept { return log_start_; }
  offset last_stable() const noexcept { return high_watermark_; }
  offset high_watermark() const noexcept { return high_watermark_; }
  offset log_end() const noexcept { return log_end_; }

  leader_epoch epoch() const noexcept { return epoch_; }
  // Nothing known at or below `asked`: epoch -1, end -1, as Kafka answers.
  epoch_end end_of_epoch(leader_epoch asked) const { return epochs_.end_of(asked, epoch_, log_end_); }

  // Bytes of all batches, in segments and in memory.
  uint64_t size_bytes() const noexcept;
  // "<topic>-<partition>"
  std::string directory_name() const;

  // --- for storage itself ---

  // Adds a batch behind the end. Requires: batch.base == log_end().
  void push(cached_batch batch);
  void set_config(const partition_config& config) { spec_.config = config; }
  // Everything below `to` is durable: tells the watchers.
  void advance_high_watermark(offset to);
  // Nothing below `to` is readable any more; true if that is news. Requires: to <= high_watermark().
  bool advance_log_start(offset to);

  tail_cache& cache() noexcept { return cache_; }
  const tail_cache& cache() const noexcept { return cache_; }
  producer_state& producers() noexcept { return producers_; }
  const producer_state& producers() const noexcept { return producers_; }
  epoch_cache& epochs() noexcept { return epochs_; }
  const epoch_cache& epochs() const noexcept { return epochs_; }
  // Oldest first; the last one is active. Empty until something was spilled.
  std::vector<segment>& segments() noexcept { return segments_; }
  const std::vector<segment>& segments() const noexcept { return segments_; }
  // The segment where reading from `at` begins: the first that ends behind it; null if that is in memory.
  segment* segment_of(offset at) noexcept;
  offset spilled_end() const noexcept { return segments_.empty() ? cache_start_ : segments_.back().end; }

  // Entries of older frames say nothing new of this partition: its unspilled batches were written again.
  lsn redo_from() const noexcept { return redo_from_; }
  void set_redo_from(lsn at) noexcept { redo_from_ = at; }

  // Compaction has been here: below, each key occurs once.
  offset cleaned_to() const noexcept { return cleaned_to_; }
  void set_cleaned_to(offset to) noexcept { cleaned_to_ = to; }
  // Held by whoever opens segments' files.
  const std::shared_ptr<name_lock>& names() const noexcept { return names_; }

  // Puts back what a checkpoint says. Requires: nothing was pushed yet.
  void restore(offset log_start, offset spilled_end, lsn redo_from, std::vector<segment> segments);

  // Whether this run has made sure that its directory exists, is its own and holds nothing else.
  bool has_directory = false;
  // Whether its files are as a clean stop leaves them.
  bool is_finished = false;
  // The last open frame that touched it, and the last evicted one: bookkeeping of shard_store.
  lsn touched_at{0};
  lsn evicted_through{0};

 private:
  friend class log_watch;

  partition_spec spec_;
  offset log_start_{0};
  offset high_watermark_{0};
  offset log_end_{0};
  offset cache_start_{0};  // where the log began in memory when there was no segment
  leader_epoch epoch_;
  lsn redo_from_{0};
  offset cleaned_to_{0};
  std::shared_ptr<name_lock> names_ = std::make_shared<name_lock>();
  tail_cache cache_;
  producer_state producers_;
  epoch_cache epochs_;
  std::vector<segment> segments_;
  log_watch watches_;  // head of a ring
};

}  // namespace millrace::storage
