// frame: the format of the write-ahead log, in one place.
//
// A WAL file is one block that says whose turn it is, and then a row of frames, each starting on a 4 KiB
// block. One frame is one group commit: one write, durable as a whole or not at all. All integers are
// little-endian.
//
// The first block is written, durably, before the first frame of a new generation:
//
//    0        8           16           24      28     32        40
//    +--------+-----------+------------+-------+------+---------+--------------
//    | magic  | checksum  | generation | shard | zero | wall    | zero to 4 KiB
//    +--------+-----------+------------+-------+------+---------+--------------
//
//   magic       "MRWALF\0\1"; the last byte is the format's version
//   checksum    XXH3 of bytes 16 to 63
//
// A frame:
//
//    0        8         16          24     32      36        40        48         64
//    +--------+---------+-----------+------+-------+---------+---------+----------+-----------------
//    | magic  | check-  | genera-   | lsn  | bytes | entries | wall    | zero     | entry, entry, ...
//    |        | sum     | tion      |      |       |         | clock   |          | zero up to 4 KiB
//    +--------+---------+-----------+------+-------+---------+---------+----------+-----------------
//
//   magic       "MRWAL\0\0\1"; the last byte is the format's version
//   checksum    XXH3 chained over the frame's 4 KiB blocks, from byte 16 of the first, seeded with the
//               generation (see frame_checksum)
//   generation  as in the file's first block: whose use of the file this is. A counter in the upper
//               32 bits, random bits in the lower. A file is recycled without being erased, so old frames lie
//               behind new ones; they never verify, having another generation. The random bits keep a client
//               from planting a record that looks like a frame to come.
//   lsn         one more than that of the frame before it, across files. The first is 1.
//   bytes       header and entries, without the padding. 64 for a seal frame, which has no entries.
//   wall clock  ms since 1970 when the frame was sealed; for people
//
// An entry begins on an 8-byte boundary:
//
//    0      1       2      4            8
//    +------+-------+------+------------+---------------------------+
//    | kind | flags | zero | body bytes | body, zero up to 8 bytes  |
//    +------+-------+------+------------+---------------------------+
//
//   batch      topic id 16, partition 4, zero 4, then one record batch as the segment will hold it.
//              flag relogged: a copy of a batch from an older frame, so that the file holding that
//              one can be recycled. Its offsets tell whether it is already known.
//   cursor     processor id 16, topic id 16, partition 4, zero 4, next offset 8 (-1: cursor removed)
//   log_start  topic id 16, partition 4, zero 4, offset 8
//   tail       topic id 16, partition 4, segment base offset 8 (at 24), position 8, then the bytes of the
//              segment from `position` (a multiple of 4 KiB) to its end: they are about to be written
//              again as part of a longer block
//   skip       body is meaningless: fills up to the next 4 KiB, where the next piece of memory begins
//
// What a torn tail looks like: at most one write is in flight, so only the last frame of the last file
// can be incomplete. A frame that does not verify but is followed, in this file or a younger one, by a
// frame that does and has the file's generation, is damage to acknowledged data: the reader reports
// corruption and nothing is dropped. Zero is never a valid magic: pre-written space ends the log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/limits.h"
#include "base/types.h"
#include "storage/types.h"

namespace millrace::storage::wal {

inline constexpr uint64_t frame_magic = 0x0100004c4157524dULL;  // "MRWAL\0\0\1" read as little-endian
inline constexpr uint64_t file_magic = 0x0100464c4157524dULL;   // "MRWALF\0\1"
inline constexpr size_t block_bytes = limits::block_bytes;
inline constexpr size_t file_header_bytes = 64;  // of the first block
inline constexpr size_t frame_header_bytes = 64;
inline constexpr size_t entry_header_bytes = 8;
inline constexpr size_t entry_alignment = 8;
inline constexpr size_t batch_prefix_bytes = 24;
inline constexpr size_t cursor_body_bytes = 48;
inline constexpr size_t log_start_body_bytes = 32;
inline constexpr size_t tail_prefix_bytes = 40;

namespace at {  // offsets in the frame header
inline constexpr size_t magic = 0;
inline constexpr size_t checksum = 8;
inline constexpr size_t generation = 16;
inline constexpr size_t lsn = 24;
inline constexpr size_t bytes = 32;
inline constexpr size_t entries = 36;
inline constexpr size_t wall_clock = 40;
}  // namespace at

static_assert(at::checksum + 8 == at::generation, "the checksum covers everything behind itself");
static_assert(at::wall_clock + 8 <= frame_header_bytes);
static_assert(frame_header_bytes % entry_alignment == 0 && block_bytes % entry_alignment == 0);
static_assert(batch_prefix_bytes % entry_alignment == 0);

struct file_header {
  uint64_t generation = 0;
  uint32_t shard = 0;
  int64_t wall_clock_ms = 0;
};

// Fills a whole block.
void store_file_header(std::byte* to, const file_header& h) noexcept;
// Nothing unless it verifies. Zeros, as in a file never used, do not.
std::optional<file_header> load_file_header(bytes_view from) noexcept;

enum class entry_kind : uint8_t { batch = 1, cursor = 2, log_start = 3, tail = 4, extent = 5, skip = 255 };
inline constexpr uint8_t entry_flag_relogged = 1;

struct frame_header {
  uint64_t checksum = 0;
  uint64_t generation = 0;
  millrace::lsn lsn{0};
  uint32_t bytes = 0;
  uint32_t entries = 0;
  int64_t wall_clock_ms = 0;

  uint64_t padded_bytes() const noexcept { return align_up(bytes, block_bytes); }
};

// Chains one more piece of a frame into its checksum. Pieces are whole blocks, except that the first
// one of a frame begins at byte 16. Start with the generation.
inline uint64_t chain_checksum(uint64_t sum, bytes_view piece, bool is_first) noexcept {
  size_t position = is_first ? at::generation : 0;
  while (position < piece.size()) {
    const size_t end = align_down(position, block_bytes) + block_bytes;
    sum = xxh3(piece.subspan(position, end - position), sum);
    position = end;
  }
  return sum;
}

inline void store_header(std::byte* to, const frame_header& h) noexcept {
  store_le<uint64_t>(to + at::magic, frame_magic);
  store_le<uint64_t>(to + at::checksum, h.checksum);
  store_le<uint64_t>(to + at::generation, h.generation);
  store_le<uint64_t>(to + at::lsn, h.lsn.value());
  store_le<uint32_t>(to + at::bytes, h.bytes);
  store_le<uint32_t>(to + at::entries, h.entries);
  store_le<int64_t>(to + at::wall_clock, h.wall_clock_ms);
  std::memset(to + at::wall_clock + 8, 0, frame_header_bytes - at::wall_clock - 8);
}

// The header, if these bytes could begin a frame; says nothing of the checksum.
inline std::optional<frame_header> load_header(bytes_view from) noexcept {
  if (from.size() < frame_header_bytes || load_le<uint64_t>(from.data()) != frame_magic) return std::nullopt;
  frame_header h;
  h.checksum = load_le<uint64_t>(from.data() + at::checksum);
  h.generation = load_le<uint64_t>(from.data() + at::generation);
  h.lsn = lsn(load_le<uint64_t>(from.data() + at::lsn));
  h.bytes = load_le<uint32_t>(from.data() + at::bytes);
  h.entries = load_le<uint32_t>(from.data() + at::entries);
  h.wall_clock_ms = load_le<int64_t>(from.data() + at::wall_clock);
  if (h.bytes < frame_header_bytes || h.bytes > limits::frame_bytes_max || h.lsn.value() == 0)
    return std::nullopt;
  return h;
}

// Requires: `frame` is the whole padded frame.
inline bool verifies(bytes_view frame, const frame_header& h) noexcept {
  return chain_checksum(h.generation, frame, true) == h.checksum;
}

// --- entries ---

struct entry {
  entry_kind kind = entry_kind::skip;
  uint8_t flags = 0;
  bytes_view body;
};

// Walks the entries of a verified frame. Still checks every length: a defect of ours must not become a
// read out of bounds.
class entry_cursor {
 public:
  entry_cursor(bytes_view frame, const frame_header& h)
      : frame_(frame.first(h.bytes)), position_(frame_header_bytes), left_(h.entries) {}

  // The next entry other than a skip; nothing at the end, or (see is_malformed) where the bytes lie.
  std::optional<entry> next() noexcept;
  bool is_malformed() const noexcept { return is_malformed_; }

 private:
  bytes_view frame_;
  size_t position_;
  uint32_t left_;
  bool is_malformed_ = false;
};

struct batch_entry {
  topic_partition_id id;
  bytes_view batch;
};
struct cursor_entry {
  cursor_key key;
  int64_t next_offset = 0;
};
struct log_start_entry {
  topic_partition_id id;
  offset start{0};
};
struct tail_entry {
  topic_partition_id id;
  offset segment_base{0};
  uint64_t position = 0;
  bytes_view bytes;
};

// Nothing if the body is too short for its kind.
std::optional<batch_entry> decode_batch(bytes_view body) noexcept;
std::optional<cursor_entry> decode_cursor(bytes_view body) noexcept;
std::optional<log_start_entry> decode_log_start(bytes_view body) noexcept;
std::optional<tail_entry> decode_tail(bytes_view body) noexcept;

// Writers of the bodies' fixed parts. Requires: room for the sizes above.
void encode_partition(std::byte* to, const topic_partition_id& id) noexcept;  // 24 bytes
void encode_cursor(std::byte* to, const cursor_key& key, int64_t next_offset) noexcept;
void encode_log_start(std::byte* to, const topic_partition_id& id, offset start) noexcept;
void encode_tail_prefix(std::byte* to, const topic_partition_id& id, offset segment_base,
                        uint64_t position) noexcept;

}  // namespace millrace::storage::wal
