// segment_scan: reading the batches of one segment file, none of them damaged.
//
// A block of the file that is read for the first time in this run is compared with its checksum. Where it
// does not match, or there is none to compare with, each batch is judged by itself: its CRC, its offsets
// (which must go on where the batch before it, or the index, says), its leader epoch: that is every byte of
// it. What does not pass is passed over by looking for the next batch that does, so damage hides no more than
// the batches it is in.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/result.h"
#include "base/types.h"
#include "runtime/file.h"
#include "runtime/task.h"
#include "storage/log/block_sums.h"
#include "storage/log/epoch_cache.h"
#include "storage/log/segment_index.h"

namespace millrace::storage {

using runtime::task;

struct segment_view;

// Hears of damage as it is met; the same may be told again.
class damage_listener {
 public:
  // A block does not match its checksum.
  virtual void block_damaged(const segment_view& view, uint64_t at, uint64_t bytes) = 0;
  // The records of [from, below) are not there: what lies in these bytes is no batch, or not the one that was
  // written.
  virtual void records_damaged(const segment_view& view, uint64_t at, uint64_t bytes, offset from,
                               offset below) = 0;
  // So many of a segment's checksums are missing or damaged.
  virtual void sums_damaged(const std::string& path, size_t entries) = 0;

 protected:
  ~damage_listener() = default;
};

// A segment's bytes as they were at one moment: a part in the file that does not change any more, and
// the tail behind it. Stays good while the log goes on, so it may be held across an await.
struct segment_view {
  std::string path;
  std::shared_ptr<runtime::file> file;
  uint64_t written = 0;
  slice tail;
  offset base{0};
  offset end{0};
  bool may_have_gaps = false;  // between its batches (segment.h)

  // Null where nothing is known of its blocks.
  std::shared_ptr<block_sums> sums;
  uint64_t summed = 0;
  uint64_t rest_sum = 0;
  uint64_t rest_end = 0;
  std::vector<epoch_start> epochs;  // of the partition; empty: not known
  damage_listener* listener = nullptr;

  uint64_t size_bytes() const noexcept { return written + tail.size(); }
};

// Bytes [at, at + bytes) in one slice, fewer at the end of the segment.
task<result<slice>> read_view(const segment_view& view, uint64_t at, uint64_t bytes);

// The same, compared with the checksums. `is_suspect`: something of it did not match, or could not be
// compared.
struct checked_bytes {
  slice bytes;
  bool is_suspect = false;
};
task<result<checked_bytes>> read_checked(const segment_view& view, uint64_t at, uint64_t bytes);

// Which batches a reader wants.
struct batch_range {
  offset from{0};   // the batch that holds it comes first
  offset below{0};  // only batches that end below it
  uint64_t bytes_max = 0;
  bool at_least_one = true;  // even if larger than bytes_max
  // Last offset of the batch at the position where reading begins, as the index knows it. Nothing: the
  // position is the segment's begin, or it is not known.
  std::optional<offset> first_ends_at;
};

struct found_batches {
  slice bytes;  // whole batches, possibly none
  // One past the last of them; if there are none, where to look further: range.from if what is there was
  // refused by the bounds, the segment's end if nothing of it lies at range.from or behind.
  offset next = no_offset;
};

// Finds the range, beginning at `position`, which must be where a batch begins that is not behind
// range.from. errc::corruption where the bytes are not the batches that were written.
task<result<found_batches>> read_batches(const segment_view& view, uint64_t position, batch_range range);

// Calls `visit(position, header bytes)` for every batch from `position` on until it returns false. The
// bytes are at least the 61 of a header.
task<result<void>> walk_headers(const segment_view& view, uint64_t position,
                                const std::function<bool(uint64_t, bytes_view)>& visit);

}  // namespace millrace::storage
