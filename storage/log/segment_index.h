// segment_index: a segment's sparse indexes, in memory, and their form in `.index` and `.timeindex`.
//
//   .index      8 bytes an entry, big-endian: offset of a batch's LAST record minus the segment's base (4),
//               position of that batch in the .log (4)
//   .timeindex  12 bytes an entry, big-endian: largest timestamp so far (8), last offset of the batch that
//               holds it minus the base (4)
//
// An entry is made for the first batch that begins more than index.interval.bytes behind the one indexed
// before. Both are as Kafka writes them, so that its tools find nothing wrong; they are searched here
// in memory, and rebuilt from the segment when the files are missing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/types.h"
#include "protocol/record_batch.h"

namespace millrace::storage {

struct offset_index_entry {
  uint32_t relative_offset = 0;
  uint32_t position = 0;
  bool operator==(const offset_index_entry&) const = default;
};
struct time_index_entry {
  int64_t timestamp_ms = 0;
  uint32_t relative_offset = 0;
  bool operator==(const time_index_entry&) const = default;
};

inline constexpr size_t offset_index_entry_bytes = 8;
inline constexpr size_t time_index_entry_bytes = 12;

// What the time index is told of a batch: its largest timestamp; -1, which it passes over, if compaction
// has left nothing but the header.
inline int64_t timestamp_of_index(const protocol::batch_header& h) noexcept {
  return h.record_count == 0 ? -1 : h.max_timestamp;
}

class segment_index {
 public:
  explicit segment_index(offset base) : base_(base) {}

  // Tells of a batch in the order of the file; makes an entry if one is due.
  void note_batch(offset last_offset, int64_t max_timestamp_ms, uint32_t position, uint32_t bytes,
                  uint32_t interval_bytes);
  // The entry with the segment's largest timestamp, which a closed segment ends with.
  void finish();
  // After entries were loaded: what note_batch() goes on from.
  void restore_progress(uint64_t bytes_since_entry, int64_t max_timestamp_ms, offset max_timestamp_offset);

  // Position of a batch that begins at or before the one holding `target`; 0 if none is indexed.
  uint32_t position_before(offset target) const noexcept;
  // Last offset of the batch that the entry with this position is of; nothing if there is none.
  std::optional<offset> last_offset_at(uint32_t position) const noexcept;
  // Last offset of a batch before which no timestamp reaches `timestamp_ms`; base - 1 if unknown.
  offset offset_before_time(int64_t timestamp_ms) const noexcept;

  const std::vector<offset_index_entry>& offsets() const noexcept { return offsets_; }
  const std::vector<time_index_entry>& times() const noexcept { return times_; }
  uint64_t bytes_since_entry() const noexcept { return bytes_since_entry_; }
  int64_t max_timestamp_ms() const noexcept { return max_timestamp_ms_; }
  offset max_timestamp_offset() const noexcept { return max_timestamp_offset_; }

  // The bytes of entries [from, end) as the files hold them.
  std::vector<std::byte> encode_offsets(size_t from) const;
  std::vector<std::byte> encode_times(size_t from) const;
  // At most `count` entries out of a file; false if they are not increasing.
  bool load_offsets(bytes_view file, size_t count);
  bool load_times(bytes_view file, size_t count);

 private:
  offset base_;
  std::vector<offset_index_entry> offsets_;
  std::vector<time_index_entry> times_;
  uint64_t bytes_since_entry_ = 0;
  int64_t max_timestamp_ms_ = -1;
  offset max_timestamp_offset_ = no_offset;
};

}  // namespace millrace::storage
