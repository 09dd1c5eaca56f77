// record_batch: the unit of Kafka's log (magic 2), on the wire and on disk alike.
//
//    0  base_offset          8   assigned by the broker            } outside the crc
//    8  batch_length         4   bytes behind this field           }
//   12  leader_epoch         4   assigned by the broker            }
//   16  magic                1   2                                 }
//   17  crc                  4   CRC-32C over everything from 21 on
//   21  attributes           2   bits 0-2 codec, 3 append time, 4 transactional, 5 control, 6 delete horizon
//   23  last_offset_delta    4   last offset = base_offset + this, also after compaction
//   27  base_timestamp       8
//   35  max_timestamp        8   the append time if bit 3 is set
//   43  producer_id          8   -1 none
//   51  producer_epoch       2   -1 none
//   53  base_sequence        4   -1 none
//   57  record_count         4
//   61  records                  one compressed block if there is a codec
//
// All integers big-endian. A batch without records is 61 bytes. The broker may assign offset and epoch
// without touching the crc; a change of attributes or timestamps needs a new one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/result.h"
#include "protocol/codec.h"

namespace millrace::protocol {

// Where the fields of a batch are.
namespace batch_at {
inline constexpr size_t base_offset = 0;
inline constexpr size_t batch_length = 8;
inline constexpr size_t leader_epoch = 12;
inline constexpr size_t magic = 16;
inline constexpr size_t crc = 17;
inline constexpr size_t attributes = 21;
inline constexpr size_t last_offset_delta = 23;
inline constexpr size_t base_timestamp = 27;
inline constexpr size_t max_timestamp = 35;
inline constexpr size_t producer_id = 43;
inline constexpr size_t producer_epoch = 51;
inline constexpr size_t base_sequence = 53;
inline constexpr size_t record_count = 57;
inline constexpr size_t records = 61;

static_assert(batch_length == base_offset + sizeof(int64_t));
static_assert(leader_epoch == batch_length + sizeof(int32_t));
static_assert(magic == leader_epoch + sizeof(int32_t));
static_assert(crc == magic + sizeof(int8_t));
static_assert(attributes == crc + sizeof(uint32_t));
static_assert(last_offset_delta == attributes + sizeof(int16_t));
static_assert(base_timestamp == last_offset_delta + sizeof(int32_t));
static_assert(max_timestamp == base_timestamp + sizeof(int64_t));
static_assert(producer_id == max_timestamp + sizeof(int64_t));
static_assert(producer_epoch == producer_id + sizeof(int64_t));
static_assert(base_sequence == producer_epoch + sizeof(int16_t));
static_assert(record_count == base_sequence + sizeof(int32_t));
static_assert(records == record_count + sizeof(int32_t));
}  // namespace batch_at

// Bytes of a batch that batch_length does not count: itself and the offset before it. Enough to know
// how long a batch is.
inline constexpr size_t batch_prefix_bytes = batch_at::leader_epoch;
inline constexpr size_t batch_header_bytes = batch_at::records;
inline constexpr int8_t batch_magic = 2;

namespace batch_attributes {
inline constexpr int16_t codec_mask = 0x07;
inline constexpr int16_t append_time = 0x08;
inline constexpr int16_t transactional = 0x10;
inline constexpr int16_t control = 0x20;
inline constexpr int16_t delete_horizon = 0x40;
}  // namespace batch_attributes

// "No timestamp" of a record or batch.
inline constexpr int64_t no_timestamp = -1;

// The 61 bytes as numbers.
struct batch_header {
  int64_t base_offset = 0;
  int32_t batch_length = 0;
  int32_t leader_epoch = -1;
  int8_t magic = batch_magic;
  uint32_t crc = 0;
  int16_t attributes = 0;
  int32_t last_offset_delta = 0;
  int64_t base_timestamp = no_timestamp;
  int64_t max_timestamp = no_timestamp;
  int64_t producer_id = -1;
  int16_t producer_epoch = -1;
  int32_t base_sequence = -1;
  int32_t record_count = 0;

  bool operator==(const batch_header&) const = default;

  size_t size_bytes() const noexcept { return batch_prefix_bytes + static_cast<size_t>(batch_length); }
  int64_t last_offset() const noexcept { return base_offset + last_offset_delta; }
  int64_t next_offset() const noexcept { return last_offset() + 1; }
  // Requires: has_valid_codec().
  codec compression() const noexcept { return static_cast<codec>(attributes & batch_attributes::codec_mask); }
  bool has_valid_codec() const noexcept { return (attributes & batch_attributes::codec_mask) < codec_count; }
  bool uses_append_time() const noexcept { return attributes & batch_attributes::append_time; }
  bool is_transactional() const noexcept { return attributes & batch_attributes::transactional; }
  bool is_control() const noexcept { return attributes & batch_attributes::control; }
  bool has_delete_horizon() const noexcept { return attributes & batch_attributes::delete_horizon; }
  bool has_producer() const noexcept { return producer_id >= 0; }
  // Sequence number of the last record; sequences wrap from 2^31-1 to 0.
  int32_t last_sequence() const noexcept {
    return static_cast<int32_t>((static_cast<int64_t>(base_sequence) + last_offset_delta) & 0x7fffffff);
  }

  // Requires: batch_header_bytes at `at`. Believes everything.
  static batch_header load(const std::byte* at) noexcept;
  // Requires: room for batch_header_bytes.
  void store(std::byte* at) const noexcept;
};

// The header of the batch at the front of `bytes`, after checks that need no walk: whole batch there, magic
// 2, a sane length, a codec that exists. Error: corruption, saying what. The crc is not checked.
result<batch_header> parse_batch(bytes_view bytes);

// Whether the stored crc is that of the bytes. Requires: `batch` is exactly one batch, at least a header.
bool has_valid_crc(bytes_view batch) noexcept;

// Changes to a batch in memory that nobody else sees yet. The first two leave the crc valid, the last two
// make a new one.
void set_base_offset(mutable_bytes batch, int64_t offset) noexcept;
void set_leader_epoch(mutable_bytes batch, int32_t epoch) noexcept;
void set_append_time(mutable_bytes batch, int64_t time_ms) noexcept;
void set_max_timestamp(mutable_bytes batch, int64_t time_ms) noexcept;

// The records of a batch as plain bytes for record_iterator: a part of `batch`, or decompressed.
// Errors: those of decompress(). Requires: `header` is that of `batch`, as parse_batch gave it.
result<slice> plain_records(const slice& batch, const batch_header& header, size_t output_bytes_max);

}  // namespace millrace::protocol
