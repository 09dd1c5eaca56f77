// batch_builder: makes record batches.
//
// Records are laid out as they come; build() compresses, fills the header and computes the crc. Offset
// deltas are 0, 1, 2, ... A builder may be used again after build(); its memory is kept.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/bytes.h"
#include "protocol/codec.h"
#include "protocol/record.h"
#include "protocol/record_batch.h"

namespace millrace::protocol {

struct batch_options {
  codec compression = codec::none;
  codec_level level = std::nullopt;
  int64_t base_offset = 0;
  int32_t leader_epoch = -1;
  int64_t producer_id = -1;
  int16_t producer_epoch = -1;
  int32_t base_sequence = -1;
  // Bits of batch_attributes other than the codec.
  int16_t attributes = 0;
};

class batch_builder {
 public:
  // Adds a record. The bytes are copied. Requires: key and value of less than 2^31 bytes together.
  void add(int64_t timestamp_ms, std::optional<bytes_view> key, std::optional<bytes_view> value,
           std::span<const record_header_view> headers = {});
  // Adds a record with the fields of one read elsewhere; its headers are copied as they are.
  void add(int64_t timestamp_ms, const record_view& record);

  int32_t record_count() const noexcept { return count_; }
  bool empty() const noexcept { return count_ == 0; }
  // Size of the batch if it were built now without compression.
  size_t plain_size_bytes() const noexcept { return batch_header_bytes + records_.size(); }
  int64_t max_timestamp() const noexcept { return max_timestamp_; }

  // The batch; the builder is empty afterwards. An empty builder makes a batch without records.
  slice build(const batch_options& options);

  // Forgets what was added.
  void clear() noexcept;

 private:
  void put_record(int64_t timestamp_ms, std::optional<bytes_view> key, std::optional<bytes_view> value,
                  int32_t header_count, bytes_view headers);

  std::vector<std::byte> records_;
  std::vector<std::byte> header_scratch_;
  int32_t count_ = 0;
  int64_t base_timestamp_ = no_timestamp;
  int64_t max_timestamp_ = no_timestamp;
};

}  // namespace millrace::protocol
