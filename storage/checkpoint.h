// checkpoint: what one shard knew at one moment, so that a restart need not look at its segments.
//
// One file per shard, `checkpoint.<shard>`, replaced as a whole. It lists every partition with its
// segments, their sparse sizes, the bytes of a last partial block, producers and epochs, and the position
// of every processor. Together with the write-ahead log from `trim` on it is the shard's whole state.
//
// The file: magic "MRCKPT\0\4", length 8, XXH3 of the body 8, body. Little-endian; the body's fields are
// in the order of the structs below. Format 1 has no second lane; 1 and 2 know neither the age of a segment
// nor its checksums; 1 to 3 nothing of compaction.
//
// Rules
//   1. everything a checkpoint describes is durable before the checkpoint is written: segments, indexes
//      and directories synced, frames that it reflects committed
//   2. WAL files below `trim` are reused only after the checkpoint itself is durable
//
// Both hold for the lane whose frames are not synced too: it is synced for each checkpoint.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "runtime/task.h"
#include "storage/log/epoch_cache.h"
#include "storage/log/producer_state.h"
#include "storage/log/segment.h"
#include "storage/types.h"

namespace millrace::storage {

struct checkpoint_partition {
  topic_partition_id id;
  std::string topic_name;
  offset log_start{0};
  offset spilled_end{0};
  lsn redo_from{0};
  // Producer state reflects the log up to here; replay updates it only from here on.
  offset producers_end{0};
  offset cleaned_to{0};  // compacted up to here
  std::vector<epoch_start> epochs;
  std::vector<std::pair<producer_id, producer_entry>> producers;
  std::vector<segment> segments;  // without `index`
};

// Of one write-ahead log.
struct lane_ends {
  // Frames below are not needed.
  lsn trim{1};
  // Frames below were durable: a log that ends earlier has lost something.
  lsn durable_end{1};
};

struct checkpoint {
  uint32_t shard = 0;
  // Written by a clean stop: nothing in the WAL is needed.
  bool is_clean = false;
  lane_ends synced;
  lane_ends unsynced{first_unsynced_lsn, first_unsynced_lsn};
  std::vector<std::pair<cursor_key, int64_t>> cursors;
  std::vector<checkpoint_partition> partitions;

  lane_ends& of(lane which) noexcept { return which == lane::synced ? synced : unsynced; }
};

std::vector<std::byte> encode(const checkpoint& c);
// errc::corruption, or errc::not_supported for a newer version. `path` is for the message.
result<checkpoint> decode_checkpoint(bytes_view file, const std::string& path);

// errc::not_found if there is none.
runtime::task<result<checkpoint>> load_checkpoint(std::string path);

}  // namespace millrace::storage
