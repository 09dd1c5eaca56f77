// types: the names storage gives to things: a partition's identity, its configuration, its place.
//
// Everything durable names a partition by (topic id, index), never by the topic's name: a topic that
// was deleted and created again under the same name is another topic.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>

#include "base/types.h"
#include "base/uuid.h"

namespace millrace::storage {

struct topic_partition_id {
  uuid topic;
  int32_t partition = 0;

  auto operator<=>(const topic_partition_id&) const = default;
};

// What an acknowledgement promises (topic configuration `durability`).
enum class durability : uint8_t {
  sync,    // on stable storage: survives a power cut
  os,      // handed to the kernel: survives kill -9; a power cut may take the newest of it
  memory,  // in this process: a crash may take the newest of it
};

// A shard's write-ahead logs. Frames that are not synced never share a log with frames that are: what a
// power cut leaves of the former may have holes anywhere, of the latter only the last can be torn.
enum class lane : uint8_t { synced, unsynced };
inline constexpr lane all_lanes[] = {lane::synced, lane::unsynced};

constexpr lane lane_for(durability d) noexcept {
  return d == durability::sync ? lane::synced : lane::unsynced;
}

// Both lanes number their frames; the numbers of the unsynced one begin high above what the other will ever
// reach, so that an lsn tells its lane.
inline constexpr lsn first_unsynced_lsn{uint64_t{1} << 62};
constexpr lane lane_of(lsn at) noexcept {
  return at < first_unsynced_lsn ? lane::synced : lane::unsynced;
}
constexpr lsn first_lsn(lane of) noexcept {
  return of == lane::synced ? lsn(1) : first_unsynced_lsn;
}

// What has to be durable before something may be told: frames up to one place of each lane.
struct commit_mark {
  lsn synced{0};
  lsn unsynced{0};

  void include(lsn at) noexcept {
    lsn& mine = lane_of(at) == lane::synced ? synced : unsynced;
    if (mine < at) mine = at;
  }
  lsn of(lane which) const noexcept { return which == lane::synced ? synced : unsynced; }
  bool operator==(const commit_mark&) const = default;
};

enum class timestamp_type : uint8_t { create_time, log_append_time };

// What storage needs to know of a topic's configuration. Times in ms; -1 means unlimited.
struct partition_config {
  uint64_t segment_bytes = uint64_t{1} << 30;   // segment.bytes
  int64_t segment_ms = 7 * 24 * 3600 * 1000LL;  // segment.ms
  int64_t segment_jitter_ms = 0;                // segment.jitter.ms
  uint32_t index_interval_bytes = 4096;         // index.interval.bytes
  uint32_t index_bytes_max = 10u << 20;         // segment.index.bytes
  // preallocate: a new segment's file has segment.bytes from the start, and its own length when it ends.
  bool preallocates = false;
  // What may be deleted for its age, or for the size of the log. Unlimited unless cleanup.policy has delete.
  int64_t retention_ms = 7 * 24 * 3600 * 1000LL;
  int64_t retention_bytes = -1;
  int64_t file_delete_delay_ms = 60'000;  // file.delete.delay.ms
  // Whether only the newest record of each key is kept, when (dirty_ratio_min: min.cleanable.dirty.ratio; the
  // lags: min. and max.compaction.lag.ms), and how long a tombstone is (delete.retention.ms).
  bool is_compacted = false;
  double dirty_ratio_min = 0.5;
  int64_t compaction_lag_min_ms = 0;
  int64_t compaction_lag_max_ms = std::numeric_limits<int64_t>::max();
  int64_t delete_retention_ms = 24 * 3600 * 1000LL;
  timestamp_type timestamps = timestamp_type::create_time;
  storage::durability durability = storage::durability::sync;

  bool operator==(const partition_config&) const = default;
};

// A partition as the metadata log describes it: what a shard must hold after it has opened.
struct partition_spec {
  topic_partition_id id;
  std::string topic_name;
  // Partition i of a topic lives on shard (seed + i) mod shards. Topics of one processing flow share a
  // seed, so that partition i of an input and of its outputs meet on one shard.
  uint32_t placement_seed = 0;
  partition_config config;
};

constexpr shard_id shard_of(uint32_t placement_seed, int32_t partition, uint32_t shards) noexcept {
  return shard_id(
      static_cast<uint32_t>((uint64_t{placement_seed} + static_cast<uint32_t>(partition)) % shards));
}

// Whose position a cursor is: a processor on one input partition.
struct cursor_key {
  uuid processor;
  topic_partition_id input;

  auto operator<=>(const cursor_key&) const = default;
};

// Lower-case name as configuration writes it.
constexpr std::string_view name_of(durability d) noexcept {
  switch (d) {
    case durability::sync:
      return "sync";
    case durability::os:
      return "os";
    case durability::memory:
      return "memory";
  }
  return "?";
}

}  // namespace millrace::storage

template <>
struct std::hash<millrace::storage::topic_partition_id> {
  size_t operator()(const millrace::storage::topic_partition_id& id) const noexcept {
    return std::hash<millrace::uuid>{}(id.topic) ^
           (static_cast<size_t>(id.partition) * 0x9e3779b97f4a7c15ULL);
  }
};

template <>
struct std::hash<millrace::storage::cursor_key> {
  size_t operator()(const millrace::storage::cursor_key& key) const noexcept {
    return std::hash<millrace::uuid>{}(key.processor) * 31 +
           std::hash<millrace::storage::topic_partition_id>{}(key.input);
  }
};
