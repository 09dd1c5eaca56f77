// options: how much memory and disk one shard's store may take, and how it writes.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

#include "base/limits.h"
#include "base/types.h"
#include "storage/witness.h"

namespace millrace::storage {

struct store_options {
  std::string data_dir;
  shard_id shard{0};
  uint32_t shards = 1;

  // The leader epoch new batches carry (data_dir::epoch()).
  leader_epoch epoch{0};

  // Write-ahead log: a file starts small, doubles each time it is filled, up to this.
  uint64_t wal_file_bytes_min = 1 * limits::MiB;
  uint64_t wal_file_bytes_max = 64 * limits::MiB;
  // The WAL may hold this much before producers wait for the spill.
  uint64_t wal_bytes_max = 256 * limits::MiB;
  uint64_t frame_bytes_target = limits::frame_bytes_target;
  uint64_t frame_bytes_max = limits::frame_bytes_max;
  // Direct I/O where the file system has it; false falls back to buffered writes and fdatasync.
  bool direct = true;
  // Idle time after which an empty frame seals the WAL (see docs/storage.md, "the window that remains").
  std::chrono::nanoseconds seal_after_idle = std::chrono::milliseconds(10);
  // How long a commit may wait for company while commits are many and small (wal/pacer.h). 0: never.
  std::chrono::nanoseconds commit_delay_max{0};

  // Batches kept in memory after they were spilled, for consumers near the tail.
  uint64_t cache_bytes = 128 * limits::MiB;
  // Batches not yet in segments; beyond this, admit() holds producers back.
  uint64_t unspilled_bytes_max = 128 * limits::MiB;
  std::chrono::nanoseconds admit_wait_max = std::chrono::seconds(5);
  // A partition with less than this unspilled is copied forward in the WAL rather than opened.
  uint64_t relog_bytes_max = 64 * limits::KiB;

  size_t open_segments_max = 512;

  // log.retention.check.interval.ms
  std::chrono::nanoseconds retention_check_interval = std::chrono::minutes(5);
  // What retention leaves for attached processors that have not read it: so many bytes of a partition, and
  // for so long beyond its time (processor.hold.max.bytes, processor.hold.max.ms).
  uint64_t hold_bytes_max = uint64_t{1} << 30;
  int64_t hold_ms_max = 7 * 24 * 3600 * 1000LL;
  // Compaction: how often it is looked for something to do (log.cleaner.backoff.ms), memory for keys on this
  // shard and how full it may get (log.cleaner.dedupe.buffer.size, log.cleaner.io.buffer.load.factor), and
  // bytes read and written a second (log.cleaner.io.max.bytes.per.second).
  bool compacts = true;  // log.cleaner.enable
  std::chrono::nanoseconds compaction_interval = std::chrono::seconds(15);
  uint64_t compaction_map_bytes = 128 * limits::MiB;
  double compaction_map_load = 0.9;
  double compaction_bytes_per_second = std::numeric_limits<double>::max();
  // How fast segments are read again, in the background, to compare their checksums. 0: not at all.
  uint64_t scrub_bytes_per_second = 0;

  // False: the last run did not stop in order, though the checkpoint may be that of an orderly stop before
  // it.
  bool follows_clean_stop = true;

  // Told of appends and commits; may be null. Must outlive the store.
  commit_witness* witness = nullptr;

  // producer.id.expiration.ms
  int64_t producer_expiration_ms = 24 * 3600 * 1000LL;
};

}  // namespace millrace::storage
