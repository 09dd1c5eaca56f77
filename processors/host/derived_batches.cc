#include "processors/host/derived_batches.h"

#include <cstring>
#include <fmt/format.h>
#include <optional>

#include "base/bytes.h"
#include "runtime/reactor.h"

namespace millrace::processors {
namespace {

// What a record and a header cost besides their bytes, at most.
constexpr size_t record_overhead_bytes = 40;
constexpr size_t header_overhead_bytes = 10;
constexpr size_t outbox_header_bytes = header_overhead_bytes + 50;

std::optional<bytes_view> view_of(const millrace_bytes& bytes) {
  if (bytes.size < 0) return std::nullopt;
  return bytes_view(reinterpret_cast<const std::byte*>(bytes.data), static_cast<size_t>(bytes.size));
}

std::string_view text_of(const millrace_bytes& bytes) {
  return {bytes.data, static_cast<size_t>(bytes.size)};
}

size_t size_of(const millrace_bytes& bytes) {
  return bytes.size > 0 ? static_cast<size_t>(bytes.size) : 0;
}

size_t size_bound(const emitted_record& record) {
  size_t bytes = record_overhead_bytes + size_of(record.key) + size_of(record.value);
  if (record.partition >= 0) bytes += outbox_header_bytes;
  for (const millrace_header& h : record.headers)
    bytes += header_overhead_bytes + size_of(h.key) + size_of(h.value);
  return bytes;
}

// The same batch, compressed.
slice compressed(const slice& plain, protocol::codec compression) {
  const slice records = plain.sub(protocol::batch_header_bytes, plain.size() - protocol::batch_header_bytes);
  const slice packed = protocol::compress(compression, records);
  const size_t size = protocol::batch_header_bytes + packed.size();
  const buffer made = buffer::allocate(size);
  auto header = protocol::batch_header::load(plain.data());
  header.attributes |= static_cast<int16_t>(compression);
  header.batch_length = static_cast<int32_t>(size - protocol::batch_prefix_bytes);
  header.store(made.data());
  std::memcpy(made.data() + protocol::batch_header_bytes, packed.data(), packed.size());
  protocol::set_max_timestamp({made.data(), size}, header.max_timestamp);  // with the crc
  return slice(made, 0, size);
}

}  // namespace

std::span<derived_batch> batch_assembler::assemble(const emissions& from,
                                                   std::span<const partition_state::change> changes,
                                                   std::span<const millrace_record> causes,
                                                   uint32_t output_count, protocol::codec compression) {
  batches_.clear();
  std::string way;
  for (uint32_t output = 0; output < output_count; ++output) {
    // What passes through an outbox is compressed where it stays.
    auto codec = compression;
    for (size_t i = 0; i < from.count(); ++i) {
      if (from.output_of(i) != output) continue;
      const emitted_record record = from.at(i);
      if (record.partition >= 0) codec = protocol::codec::none;
      if (!builder_.empty() && builder_.plain_size_bytes() + size_bound(record) > batch_bytes_target)
        finish(output, codec);
      headers_.clear();
      for (const millrace_header& h : record.headers) headers_.push_back({text_of(h.key), view_of(h.value)});
      if (record.partition >= 0) {
        way = fmt::format("{} {}", record.partition, causes[record.cause].offset);
        headers_.push_back({outbox_header, as_bytes(way)});
      }
      const int64_t timestamp_ms = record.timestamp_ms == MILLRACE_INHERIT_TIMESTAMP
                                       ? causes[record.cause].timestamp_ms
                                       : record.timestamp_ms;
      builder_.add(timestamp_ms, view_of(record.key), view_of(record.value), headers_);
    }
    if (!builder_.empty()) finish(output, codec);
  }
  for (size_t i = 0; i < changes.size(); ++i) {
    const partition_state::change& c = changes[i];
    const size_t size = record_overhead_bytes + c.key.size() + (c.value ? c.value->size() : 0);
    if (!builder_.empty() && builder_.plain_size_bytes() + size > batch_bytes_target)
      finish(output_count + c.store, compression);
    builder_.add(causes[c.cause].timestamp_ms, as_bytes(c.key),
                 c.value ? std::optional(as_bytes(*c.value)) : std::nullopt);
    if (i + 1 == changes.size() || changes[i + 1].store != c.store)
      finish(output_count + c.store, compression);
  }
  return batches_;
}

derived_batch batch_assembler::dead_letter(const millrace_record& record,
                                           std::span<const std::pair<std::string, std::string>> told,
                                           uint32_t target, protocol::codec compression) {
  batches_.clear();
  headers_.clear();
  for (const millrace_header& h : std::span(record.headers, record.header_count))
    headers_.push_back({text_of(h.key), view_of(h.value)});
  for (const auto& [key, value] : told) headers_.push_back({key, as_bytes(value)});
  builder_.add(record.timestamp_ms, view_of(record.key), view_of(record.value), headers_);
  finish(target, compression);
  return std::move(batches_.back());
}

std::span<derived_batch> batch_assembler::with(derived_batch one) {
  batches_.push_back(std::move(one));
  return batches_;
}

derived_batch batch_assembler::note(std::string_view key, std::string_view value, uint32_t target) {
  protocol::batch_builder builder;
  builder.add(runtime::reactor::current().wall_clock_ms(), as_bytes(key), as_bytes(value));
  return {target, finished_batch(builder, protocol::codec::none)};
}

void batch_assembler::finish(uint32_t target, protocol::codec compression) {
  batches_.push_back({target, finished_batch(builder_, compression)});
}

protocol::checked_batch finished_batch(protocol::batch_builder& builder, protocol::codec compression) {
  const slice plain = builder.build({});
  if (compression == protocol::codec::none) return protocol::trusted_batch(plain);
  const slice records = plain.sub(protocol::batch_header_bytes, plain.size() - protocol::batch_header_bytes);
  return protocol::trusted_batch(compressed(plain, compression), records);
}

void stamp_append_time(protocol::checked_batch& batch) {
  const int64_t now_ms = runtime::reactor::current().wall_clock_ms();
  batch.uses_append_time = true;
  batch.max_timestamp = batch.header.max_timestamp = now_ms;
  batch.max_timestamp_offset_delta = 0;
  batch.header.attributes |= protocol::batch_attributes::append_time;
}

}  // namespace millrace::processors
