// spill: moving durable batches from memory into segment files, behind the acknowledgements.
//
// Writes whole 4 KiB blocks directly, without sync; what is left of the last block becomes the segment's
// tail. Sparse index entries are made on the way. sync() makes all of it durable before a checkpoint
// names it; finish() leaves a directory as Kafka itself would after a clean stop.
//
// One spiller per shard, driven by maintenance. Calls for different partitions may overlap, for one partition
// never. An error leaves the log as it was and the call may be made again; errc::disk_full means just that.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "runtime/semaphore.h"
#include "runtime/task.h"
#include "storage/log/file_pool.h"
#include "storage/log/partition_log.h"
#include "storage/log/segment_scan.h"

namespace millrace::storage {

struct spill_options {
  std::string data_dir;
  bool direct = true;
  damage_listener* listener = nullptr;
};

struct loaded_index {
  std::shared_ptr<segment_index> index;
  bool is_rebuilt = false;  // its files are missing or wrong
};

class spiller {
 public:
  // Puts a segment's partial last block, which is about to be written again, into the WAL and waits until
  // it is durable there.
  using tail_journal = std::function<task<result<void>>(partition_log& log, offset segment_base,
                                                        uint64_t position, slice bytes)>;

  spiller(spill_options options, file_pool& files, tail_journal journal)
      : options_(std::move(options)), files_(files), journal_(std::move(journal)) {}

  // Everything below the high watermark. Adds to `spilled_bytes`, even if it fails half-way.
  task<result<void>> spill(partition_log& log, uint64_t& spilled_bytes);
  // Whether a checkpoint would have to wait for sync().
  static bool needs_sync(const segment& s);
  // What was spilled survives a power cut when this returns.
  task<result<void>> sync(partition_log& log);
  // Exact sizes, complete indexes, epochs; everything synced. Requires: nothing left to spill.
  task<result<void>> finish(partition_log& log);
  // Gives one segment's files, of a partition that knows it no more, names that end in ".deleted"; the new
  // paths. Files that cannot be renamed are logged and left.
  task<std::vector<std::string>> doom_segment(std::string directory, offset base);
  // Removes files that an earlier run left in the partition's directory. Requires: the partition is held.
  task<result<void>> tidy(partition_log& log);
  // Ends the active segment, so that it can go. Requires: nothing left to spill.
  task<result<void>> roll(partition_log& log);
  // Removes the partition's files.
  task<result<void>> remove_files(std::string topic_name, topic_partition_id id);

  // The segment's index, read from its files or rebuilt. The partition must not go away meanwhile.
  task<result<loaded_index>> load_index(segment_view view, segment described, uint32_t interval_bytes,
                                        std::string directory);
  // The checksums of a segment that has them, out of their file; what is damaged or missing of them is told
  // in `damaged`, if not null. The same for the partition.
  task<result<std::shared_ptr<block_sums>>> load_sums(std::string directory, segment described,
                                                      std::vector<size_t>* damaged);
  // A view for reading, with an open file.
  task<result<segment_view>> view_of(std::string directory, segment described);

  std::string directory_of(const partition_log& log) const;
  uint64_t spilled_bytes() const noexcept { return spilled_bytes_; }

 private:
  task<result<void>> prepare_directory(partition_log& log);
  task<result<void>> clear_directory(partition_log& log);
  task<result<void>> need_index(partition_log& log);
  task<result<void>> write_some(partition_log& log, uint64_t& spilled_bytes);
  task<result<void>> close_active(partition_log& log, bool is_final);
  task<result<void>> drop_unborn(partition_log& log);
  task<result<void>> need_sums(partition_log& log);
  task<result<void>> save_sums(partition_log& log, bool exact);
  static void note_sums(segment& s);
  task<result<void>> save_index(partition_log& log, bool exact);
  task<result<void>> reload_tail(partition_log& log);
  task<result<std::shared_ptr<runtime::file>>> log_file(const partition_log& log, offset base);

  // One write: large enough for the disk, small enough not to delay a commit. Of all partitions together no
  // more than that is on the way either.
  static constexpr uint64_t spill_write_bytes = 1 << 20;

  spill_options options_;
  file_pool& files_;
  tail_journal journal_;
  runtime::semaphore writing_{spill_write_bytes};
  uint64_t spilled_bytes_ = 0;
};

}  // namespace millrace::storage
