// block_sums: checksums of a segment's blocks of 64 KiB, and their form in the `.sums` file beside it.
//
//   header   16 bytes: magic "MRSUMS\0\1" (its last byte is the version), base offset of the segment (8)
//   entries  16 bytes each: XXH3 of a block (8), its length (4), check (4)
//   marks    version 2 only: their number (8), XXH3 of what follows, seeded with the base offset (8), then 8
//   bytes
//            for each batch: its position (4), check (4)
//
// Little-endian. Entry n is of the block that begins at n * 64 KiB; `length` is 65536 but for the last entry
// of a segment that has ended. `check` is the low half of the XXH3 of the entry's first 12 bytes, seeded with
// base offset + n, so that damage to this file is not taken for damage to the segment, nor an entry for
// another's.
//
// Version 2 is of segments that compaction has written, whole and for good. Between their batches offsets may
// be missing, so that a changed offset in a damaged block would not be noticed by what is beside it. The
// check of a mark is the low half of the XXH3 of what the batch's CRC does not cover (the first 16 bytes),
// seeded with base offset + position.
//
// Entries are only ever added. Those of whole blocks are written when the segment is synced for a checkpoint,
// behind the data, so the checkpoint names a file that has them; what follows the last whole block of the
// active segment has its checksum in the checkpoint (`segment::rest_sum`). Sums are made of what was written,
// from memory.
//
// The first read of a block in a run compares it (segment_scan.cc); so does the scrub. A block whose entry is
// damaged or missing is told apart from a damaged block: its batches are judged by their own CRCs.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/types.h"
#include "base/xxh3_stream.h"

namespace millrace::storage {

inline constexpr uint64_t sum_block_bytes = 64 * 1024;
inline constexpr size_t sums_header_bytes = 16;
inline constexpr size_t sums_entry_bytes = 16;

struct sums_entry {
  uint64_t sum = 0;
  uint32_t length = 0;
};

inline constexpr int sums_version = 1;
inline constexpr int sums_version_with_marks = 2;

struct batch_mark {
  uint32_t position = 0;
  uint32_t check = 0;
};
// Requires: `header` is that of the batch at `position`.
uint32_t check_of_batch(const std::byte* header, offset base, uint32_t position);
std::vector<std::byte> encode_batch_marks(offset base, const std::vector<batch_mark>& marks);
// Out of a `.sums` file, behind the entries for a segment of `segment_bytes`. Nothing if there are none, or
// if they are damaged.
std::optional<std::vector<batch_mark>> decode_batch_marks(bytes_view file, offset base,
                                                          uint64_t segment_bytes);

std::vector<std::byte> encode_sums_header(offset base, int version = sums_version);
// False: no such file, or of another segment; `version` is what it says, where it is one.
bool is_sums_header(bytes_view file, offset base, int* version = nullptr);
void encode_sums_entry(std::byte* to, offset base, uint64_t n, const sums_entry& entry);
// Nothing if the entry is damaged.
std::optional<sums_entry> decode_sums_entry(const std::byte* from, offset base, uint64_t n);

// What is known of one segment's blocks in this run.
enum class block_state : uint8_t {
  unread,   // not compared yet
  intact,   //
  damaged,  // does not match its sum
  unknown,  // its sum is damaged or missing
};

class block_sums {
 public:
  explicit block_sums(offset base) : base_(base) {}

  // --- building, while the segment is spilled to ---
  // What was written behind all that was added before. Requires: is_building().
  void add(bytes_view bytes);
  // Ends a segment: what follows the last whole block gets an entry of its own.
  void finish();
  // From where building goes on: `rest` is what the file holds behind the last entry. If that is not what the
  // sum of it says, its block's sum will never match.
  void begin_building(bytes_view rest, bool is_intact);
  void stop_building() noexcept { is_building_ = false; }
  bool is_building() const noexcept { return is_building_; }
  // Of what follows the last entry.
  uint64_t rest_sum() const;
  uint64_t rest_bytes() const noexcept { return rest_bytes_; }

  // --- entries ---
  size_t count() const noexcept { return entries_.size(); }
  const sums_entry& entry(size_t n) const noexcept { return entries_[n]; }
  // Bytes of the segment that the entries are of.
  uint64_t summed() const noexcept;
  std::vector<std::byte> encode(size_t from) const;
  // Entries for the first `summed` bytes of the segment out of a file; gives the numbers of those that are
  // damaged or missing.
  std::vector<size_t> load(bytes_view file, uint64_t summed);

  block_state state(size_t n) const noexcept { return states_[n]; }
  // Compares a whole block; true if that is news of damage.
  bool compare(size_t n, bytes_view block);
  // Of an intact block: it is compared again when it is read the next time.
  void forget(size_t n) noexcept {
    if (states_[n] == block_state::intact) states_[n] = block_state::unread;
  }
  // Of a segment with gaps, once they were needed; nothing if they are damaged or missing.
  std::optional<std::vector<batch_mark>> marks;
  bool are_marks_loaded = false;
  // What was written so far was compared up to here, behind the entries.
  uint64_t rest_compared_to = 0;
  // Where what the checkpoint's `rest_sum` is of ends, if that is behind what the file now counts as holding:
  // its last part has become the tail again.
  uint64_t rest_end = 0;
  bool is_loaded = false;
  size_t saved = 0;  // entries that are in the file and synced

 private:
  void push(uint64_t sum, uint64_t length);

  offset base_;
  std::vector<sums_entry> entries_;
  std::vector<block_state> states_;
  xxh3_stream rest_;
  uint64_t rest_bytes_ = 0;
  bool is_building_ = false;
  bool is_spoilt_ = false;
};

}  // namespace millrace::storage
