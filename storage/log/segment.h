// segment: one file of a partition's log, as the partition remembers it.
//
// The newest segment is the active one. Its file holds only whole 4 KiB blocks: `written` bytes. What
// follows of the batches spilled so far is the tail, less than a block, kept in memory and in the
// checkpoint, so that a block on disk is never written twice while something depends on it. A segment
// gets its exact size when the next one begins, and at a clean stop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/buffer.h"
#include "base/types.h"
#include "storage/log/segment_index.h"

namespace millrace::storage {

class block_sums;

struct segment {
  offset base{0};
  offset end{0};         // one past the last record spilled into it
  uint64_t written = 0;  // bytes in the file
  slice tail;            // bytes that follow them
  int64_t max_timestamp_ms = -1;
  offset max_timestamp_offset = no_offset;  // last offset of the batch that holds it
  uint64_t bytes_since_index_entry = 0;

  // How old it is; -1 where a format before this one did not say.
  int64_t first_timestamp_ms = -1;  // the largest of its first batch
  int64_t created_ms = -1;          // by the wall clock, as is
  int64_t modified_ms = -1;         // when a batch was last spilled into it

  // Checksums (block_sums.h): the sidecar answers for the first `summed` bytes of the file, and `rest_sum`
  // for what of it follows. False in segments that were begun by an older format.
  bool has_sums = false;
  uint64_t summed = 0;
  uint64_t rest_sum = 0;
  // Null until needed.
  std::shared_ptr<block_sums> sums;

  // Batches may be missing between others: compaction took them, here or where the segment was imported
  // from. Else a gap is damage.
  bool may_have_gaps = false;
  // In a checkpoint: it replaces segments of which one has its name; unless that was done already its files
  // have names that end in ".swap".
  bool is_swapping = false;

  // Entries that are in the files and synced; more may be in `index`.
  uint32_t offset_entries_saved = 0;
  uint32_t time_entries_saved = 0;
  // Null until needed. Always loaded while batches are spilled into the segment.
  std::shared_ptr<segment_index> index;
  bool is_dirty = false;  // written to since the last sync

  uint64_t size_bytes() const noexcept { return written + tail.size(); }
};

// "00000000000000001234"
std::string segment_stem(offset base);

}  // namespace millrace::storage
