// shard_store: everything durable on one shard.
//
// The write-ahead log with its group commit, the partition logs, the cache of the tail, the spill into
// Kafka's segment files, checkpoints and recovery. One store per shard; it runs on that shard only and
// is created after data_dir (which owns what shards share) has opened.
//
// Partitions of durability `os` and `memory` have a write-ahead log of their own, whose frames are written
// but not synced. "Durable" in the names below means as durable as the partition asks for.
//
// A produce is: `co_await admit(bytes)`, then any number of append() and set_cursor() calls with no
// await in between (they land in one frame, so they become durable together or not at all), then
// `co_await wait_durable(lsn)`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/histogram.h"
#include "base/result.h"
#include "base/types.h"
#include "runtime/task.h"
#include "storage/log/partition_log.h"
#include "storage/options.h"
#include "storage/types.h"

namespace millrace::protocol {
struct checked_batch;
}

namespace millrace::storage {

using runtime::task;

// Who appends. `client` batches go through the idempotence check; the others carry no producer id.
enum class append_origin : uint8_t { client, derived, internal };

struct appended {
  offset base_offset = no_offset;
  offset last_offset = no_offset;
  // wait_durable(durable_at) before telling anybody. For a duplicate, the frame of the original. Nothing to
  // wait for (0) in a partition of durability `memory`.
  lsn durable_at{0};
  // What a Produce response reports: the append time for LogAppendTime topics, else -1.
  int64_t log_append_time_ms = -1;
  bool is_duplicate = false;
};

// log_end shows what is not durable yet: only for work whose result becomes durable in the same frame or a
// later one (processors), never for anybody outside.
enum class read_bound : uint8_t { high_watermark, last_stable, log_end };

struct read_request {
  offset from{0};
  uint32_t bytes_max = 1u << 20;
  // Give the first batch even if it alone is larger than bytes_max.
  bool at_least_one_batch = true;
  read_bound bound = read_bound::high_watermark;
};

struct fetched {
  iobuf records;            // whole batches; the first may begin before `from`
  offset next = no_offset;  // where to go on reading
  offset high_watermark = no_offset;
  offset last_stable = no_offset;
  offset log_start = no_offset;
};

struct timestamped_offset {
  int64_t timestamp_ms = -1;
  storage::timestamp_type type = timestamp_type::create_time;
  millrace::offset offset = no_offset;
  leader_epoch epoch{-1};
};

struct store_stats {
  uint64_t commits = 0;
  uint64_t committed_bytes = 0;
  uint64_t appended_batches = 0;
  uint64_t appended_bytes = 0;
  uint64_t relogged_bytes = 0;
  uint64_t spilled_bytes = 0;
  uint64_t unspilled_bytes = 0;
  uint64_t cached_bytes = 0;
  uint64_t checkpoints = 0;
  uint64_t wal_bytes = 0;  // allocated on disk
  uint64_t retired_segments = 0;
  // Since the start: runs over one log that came to their end, and bytes that compaction has read.
  uint64_t compactions = 0;
  uint64_t compacted_bytes = 0;
  // Since the start: read by the scrub, and what was found wrong by it or by readers.
  uint64_t scrubbed_bytes = 0;
  uint64_t damaged_blocks = 0;     // of segments
  uint64_t damaged_checksums = 0;  // entries, or whole files, of the checksums beside them
  // Of synced commits only.
  histogram commit_us;
  histogram commit_size_bytes;
};

class shard_store {
 public:
  // Recovers the shard: reads its checkpoint and WAL, keeps the partitions in `specs` and drops what
  // belongs to topics deleted since. errc::corruption, naming file and position, when acknowledged data
  // is damaged; errc::locked when another process holds the WAL.
  static task<result<std::unique_ptr<shard_store>>> open(store_options options,
                                                         std::vector<partition_spec> specs);
  // Requires: close() was awaited (or the store never opened).
  virtual ~shard_store() = default;

  // Clean stop: everything spilled, files at their exact size, WAL empty. Requires: no call in progress.
  virtual task<result<void>> close() = 0;

  // --- partitions ---
  // Null if this shard does not hold it. Valid until remove(): look it up again after an await.
  virtual partition_log* find(const topic_partition_id& id) = 0;
  virtual void for_each(const std::function<void(partition_log&)>& visit) = 0;
  // The partition becomes writable at once. Its creation must already be durable in the metadata log.
  virtual result<partition_log*> create(partition_spec spec) = 0;
  // Drops the log and its files. Its deletion must already be durable in the metadata log.
  virtual task<result<void>> remove(topic_partition_id id) = 0;
  // All but the durability, which a partition keeps until the next start.
  virtual void reconfigure(partition_log& log, const partition_config& config) = 0;
  // producer.id.expiration.ms, from the next look for expired ones on.
  virtual void set_producer_expiration(int64_t ms) = 0;

  // --- the append section: no await between these calls ---
  // Waits for room: at the cap of unspilled bytes, up to admit_wait_max, then a retriable error;
  // kafka_storage_error at once while the disk is full or the shard is read-only.
  virtual task<result<void>> admit(uint64_t bytes) = 0;
  // Checks idempotence, assigns offsets, copies the batch into the open frame, patches it there, runs
  // the append hook. The batch is not readable before its frame is durable.
  // Errors: out_of_order_sequence_number, invalid_producer_epoch, kafka_storage_error,
  // record_list_too_large (larger than a segment), message_too_large (larger than a frame).
  virtual result<appended> append(partition_log& log, const protocol::checked_batch& batch,
                                  append_origin origin) = 0;
  // A processor's position: `next_offset` is the first input offset it has not consumed. Durable with the
  // open frame of its input's lane, never before and never after the batches appended with it there.
  virtual void set_cursor(const cursor_key& key, int64_t next_offset) = 0;
  virtual void remove_cursor(const cursor_key& key) = 0;
  // The frame that append() to this partition, and set_cursor() for it, write to now.
  virtual lsn open_lsn(const partition_log& log) const = 0;
  // Bytes that still fit that frame: what a processor's outputs may add.
  virtual uint64_t open_frame_room(const partition_log& log) const = 0;

  // Called inside append(), after offsets were assigned and before the frame can be sealed, with the
  // batch as it is stored. It may append to other partitions (and is called for those in turn) and set
  // cursors: those land in the same frame.
  using append_hook = std::function<void(partition_log& log, const slice& batch_as_stored,
                                         const protocol::checked_batch& batch)>;
  virtual void set_append_hook(append_hook hook) = 0;

  // Returns when every frame up to and including `at` is on stable storage. Error: the shard became
  // read-only (errc::read_only, saying why); nothing of the frame may be acknowledged.
  virtual task<result<void>> wait_durable(lsn at) = 0;
  virtual task<result<void>> wait_durable(commit_mark at) = 0;
  virtual bool is_durable(lsn at) const = 0;

  // Positions as recovered and as set since; only durable ones survive a crash, so a processor resumes
  // from cursors() right after open().
  virtual std::optional<int64_t> cursor(const cursor_key& key) const = 0;
  virtual std::vector<std::pair<cursor_key, int64_t>> cursors() const = 0;

  // --- reading ---
  // errc::offset_out_of_range below log_start or above the bound's end.
  virtual task<result<fetched>> read(partition_log& log, read_request request) = 0;
  // The same without a coroutine, if memory holds all of it; nothing if a segment is needed.
  virtual std::optional<result<fetched>> read_cached(partition_log& log, const read_request& request) = 0;

  // The first record, in offset order, whose timestamp is >= `timestamp_ms`.
  virtual task<result<std::optional<timestamped_offset>>> find_timestamp(partition_log& log,
                                                                         int64_t timestamp_ms,
                                                                         read_bound bound) = 0;
  // The record with the largest timestamp (ListOffsets -3).
  virtual task<result<std::optional<timestamped_offset>>> find_max_timestamp(partition_log& log) = 0;

  // Moves log_start up (DeleteRecords); durable when this returns. Gives the new log start.
  virtual task<result<offset>> advance_log_start(topic_partition_id id, offset to) = 0;

  // The lowest offset of a partition that somebody still has to read; nothing if nobody has to. Asked on this
  // shard by retention, which goes no further, within the limits of store_options. An empty function: nobody.
  using retention_hold = std::function<std::optional<offset>(const partition_log& log)>;
  virtual void set_retention_hold(retention_hold hold) = 0;

  // --- state ---
  // Set once a WAL write failed, until restart: reads work, appends are refused with this reason.
  virtual const std::optional<error>& read_only_reason() const = 0;
  // A segment, directory or checkpoint could not be written for lack of space; clears by itself.
  virtual bool is_disk_full() const = 0;
  virtual store_stats stats() const = 0;
};

}  // namespace millrace::storage
