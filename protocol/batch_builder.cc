#include "protocol/batch_builder.h"

#include <algorithm>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/varint.h"

namespace millrace::protocol {

namespace {

size_t nullable_size(const std::optional<bytes_view>& bytes) noexcept {
  if (!bytes) return 1;
  return uvarint_size(zigzag_encode(static_cast<int32_t>(bytes->size()))) + bytes->size();
}

// Appends to a vector that has the room.
class appender {
 public:
  explicit appender(std::byte* at) noexcept : at_(at) {}
  void raw(bytes_view bytes) noexcept {
    if (!bytes.empty()) std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  void byte(std::byte value) noexcept { *at_++ = value; }
  void varint(int32_t value) noexcept { at_ += put_uvarint(at_, zigzag_encode(value)); }
  void varlong(int64_t value) noexcept { at_ += put_uvarint(at_, zigzag_encode64(value)); }
  void nullable(const std::optional<bytes_view>& bytes) noexcept {
    varint(bytes ? static_cast<int32_t>(bytes->size()) : -1);
    if (bytes) raw(*bytes);
  }
  const std::byte* end() const noexcept { return at_; }

 private:
  std::byte* at_;
};

}  // namespace

void batch_builder::add(int64_t timestamp_ms, std::optional<bytes_view> key, std::optional<bytes_view> value,
                        std::span<const record_header_view> headers) {
  size_t size = 0;
  for (const record_header_view& h : headers) size += nullable_size(as_bytes(h.key)) + nullable_size(h.value);
  header_scratch_.resize(size);
  appender out(header_scratch_.data());
  for (const record_header_view& h : headers) {
    out.nullable(as_bytes(h.key));
    out.nullable(h.value);
  }
  put_record(timestamp_ms, key, value, static_cast<int32_t>(headers.size()), header_scratch_);
}

void batch_builder::add(int64_t timestamp_ms, const record_view& record) {
  put_record(timestamp_ms, record.key, record.value, record.header_count, record.headers);
}

void batch_builder::put_record(int64_t timestamp_ms, std::optional<bytes_view> key,
                               std::optional<bytes_view> value, int32_t header_count, bytes_view headers) {
  if (count_ == 0) base_timestamp_ = timestamp_ms;
  max_timestamp_ = count_ == 0 ? timestamp_ms : std::max(max_timestamp_, timestamp_ms);
  // Unsigned, since a hostile pair of timestamps may be further apart than an int64 reaches; it wraps back
  // when read.
  const auto timestamp_delta =
      static_cast<int64_t>(static_cast<uint64_t>(timestamp_ms) - static_cast<uint64_t>(base_timestamp_));

  const size_t body = 1 + uvarint_size(zigzag_encode64(timestamp_delta)) +
                      uvarint_size(zigzag_encode(count_)) + nullable_size(key) + nullable_size(value) +
                      uvarint_size(zigzag_encode(header_count)) + headers.size();
  MR_ASSERT(body <= INT32_MAX);
  const auto length = static_cast<int32_t>(body);
  const size_t whole = uvarint_size(zigzag_encode(length)) + body;
  const size_t before = records_.size();
  if (records_.capacity() - before < whole) records_.reserve(std::max(2 * before, before + whole));
  records_.resize(before + whole);

  appender out(records_.data() + before);
  out.varint(length);
  out.byte(std::byte{0});
  out.varlong(timestamp_delta);
  out.varint(count_);
  out.nullable(key);
  out.nullable(value);
  out.varint(header_count);
  out.raw(headers);
  MR_DCHECK(out.end() == records_.data() + records_.size());
  ++count_;
}

slice batch_builder::build(const batch_options& options) {
  slice compressed;
  bytes_view body = records_;
  if (options.compression != codec::none) {
    compressed = compress(options.compression, records_, options.level);
    body = compressed;
  }
  const size_t size = batch_header_bytes + body.size();
  MR_ASSERT(size - batch_prefix_bytes <= INT32_MAX);
  buffer memory = buffer::allocate(size);
  const batch_header header{
      .base_offset = options.base_offset,
      .batch_length = static_cast<int32_t>(size - batch_prefix_bytes),
      .leader_epoch = options.leader_epoch,
      .attributes = static_cast<int16_t>((options.attributes & ~batch_attributes::codec_mask) |
                                         static_cast<int16_t>(options.compression)),
      .last_offset_delta = std::max(count_ - 1, 0),
      .base_timestamp = base_timestamp_,
      .max_timestamp = max_timestamp_,
      .producer_id = options.producer_id,
      .producer_epoch = options.producer_epoch,
      .base_sequence = options.base_sequence,
      .record_count = count_,
  };
  header.store(memory.data());
  if (!body.empty()) std::memcpy(memory.data() + batch_header_bytes, body.data(), body.size());
  const bytes_view covered(memory.data() + batch_at::attributes, size - batch_at::attributes);
  store_be(memory.data() + batch_at::crc, crc32c(covered));
  clear();
  return slice(std::move(memory), 0, size);
}

void batch_builder::clear() noexcept {
  records_.clear();
  count_ = 0;
  base_timestamp_ = no_timestamp;
  max_timestamp_ = no_timestamp;
}

}  // namespace millrace::protocol
