#include "protocol/record_batch.h"

#include "base/checksum.h"
#include "protocol/batch_header_check.h"

namespace millrace::protocol {

batch_header batch_header::load(const std::byte* at) noexcept {
  return {
      .base_offset = load_be<int64_t>(at + batch_at::base_offset),
      .batch_length = load_be<int32_t>(at + batch_at::batch_length),
      .leader_epoch = load_be<int32_t>(at + batch_at::leader_epoch),
      .magic = load_be<int8_t>(at + batch_at::magic),
      .crc = load_be<uint32_t>(at + batch_at::crc),
      .attributes = load_be<int16_t>(at + batch_at::attributes),
      .last_offset_delta = load_be<int32_t>(at + batch_at::last_offset_delta),
      .base_timestamp = load_be<int64_t>(at + batch_at::base_timestamp),
      .max_timestamp = load_be<int64_t>(at + batch_at::max_timestamp),
      .producer_id = load_be<int64_t>(at + batch_at::producer_id),
      .producer_epoch = load_be<int16_t>(at + batch_at::producer_epoch),
      .base_sequence = load_be<int32_t>(at + batch_at::base_sequence),
      .record_count = load_be<int32_t>(at + batch_at::record_count),
  };
}

void batch_header::store(std::byte* at) const noexcept {
  store_be(at + batch_at::base_offset, base_offset);
  store_be(at + batch_at::batch_length, batch_length);
  store_be(at + batch_at::leader_epoch, leader_epoch);
  store_be(at + batch_at::magic, magic);
  store_be(at + batch_at::crc, crc);
  store_be(at + batch_at::attributes, attributes);
  store_be(at + batch_at::last_offset_delta, last_offset_delta);
  store_be(at + batch_at::base_timestamp, base_timestamp);
  store_be(at + batch_at::max_timestamp, max_timestamp);
  store_be(at + batch_at::producer_id, producer_id);
  store_be(at + batch_at::producer_epoch, producer_epoch);
  store_be(at + batch_at::base_sequence, base_sequence);
  store_be(at + batch_at::record_count, record_count);
}

result<batch_header> parse_batch(bytes_view bytes) {
  if (bytes.size() < batch_header_bytes) {
    return fail(errc::corruption, "{} bytes are too few for a batch", bytes.size());
  }
  const batch_header header = batch_header::load(bytes.data());
  const header_problem problem = problem_of(header);
  if (problem == header_problem::format)
    return fail(errc::corruption, "batch of unknown format {}", header.magic);
  if (problem == header_problem::length)
    return fail(errc::corruption, "impossible batch length {}", header.batch_length);
  if (header.size_bytes() > bytes.size()) {
    return fail(errc::corruption, "batch of {} bytes is cut off at {}", header.size_bytes(), bytes.size());
  }
  if (problem == header_problem::codec)
    return fail(errc::corruption, "unknown codec in attributes {}", header.attributes);
  if (problem != header_problem::none) {
    return fail(errc::corruption, "impossible record count {}, last offset delta {} or base offset {}",
                header.record_count, header.last_offset_delta, header.base_offset);
  }
  return header;
}

bool has_valid_crc(bytes_view batch) noexcept {
  return load_be<uint32_t>(batch.data() + batch_at::crc) == crc32c(batch.subspan(batch_at::attributes));
}

void set_base_offset(mutable_bytes batch, int64_t offset) noexcept {
  store_be(batch.data() + batch_at::base_offset, offset);
}

void set_leader_epoch(mutable_bytes batch, int32_t epoch) noexcept {
  store_be(batch.data() + batch_at::leader_epoch, epoch);
}

void set_max_timestamp(mutable_bytes batch, int64_t time_ms) noexcept {
  store_be(batch.data() + batch_at::max_timestamp, time_ms);
  store_be(batch.data() + batch_at::crc, crc32c(batch.subspan(batch_at::attributes)));
}

void set_append_time(mutable_bytes batch, int64_t time_ms) noexcept {
  std::byte* const attributes = batch.data() + batch_at::attributes;
  store_be(attributes, static_cast<int16_t>(load_be<int16_t>(attributes) | batch_attributes::append_time));
  set_max_timestamp(batch, time_ms);
}

result<slice> plain_records(const slice& batch, const batch_header& header, size_t output_bytes_max) {
  const slice stored = batch.sub(batch_header_bytes, header.size_bytes() - batch_header_bytes);
  if (header.compression() == codec::none) return stored;
  return decompress(header.compression(), stored, output_bytes_max);
}

}  // namespace millrace::protocol
