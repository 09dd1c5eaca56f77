#include "protocol/batch_check.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <utility>

#include "base/assert.h"
#include "protocol/batch_builder.h"
#include "protocol/record.h"

namespace millrace::protocol {

namespace {

// Sizes by which Kafka's reader of the records field tells batches apart, whatever their format.
constexpr size_t magic_end = batch_at::magic + 1;
constexpr int32_t entry_length_min = 14;  // of the smallest message of the oldest format
constexpr int8_t newest_magic = 2;

constexpr int16_t zstd_since_version = 7;
// How many refused records the message of the whole batch spells out.
constexpr size_t errors_spelled_out = 3;
// What a producer may say in the attributes besides the codec.
constexpr int16_t kept_attributes = batch_attributes::codec_mask | batch_attributes::transactional;

using outcome = std::expected<void, batch_error>;

template <class... Args>
std::unexpected<batch_error> refuse(errc code, fmt::format_string<Args...> text, Args&&... args) {
  return std::unexpected(batch_error{code, fmt::format(text, std::forward<Args>(args)...), {}});
}

enum class entry { none, whole, broken };

// What stands at the front of `bytes`: nothing usable (too short, which Kafka passes over), a whole batch
// of any format, or something with an impossible length or format.
entry look_at_entry(bytes_view bytes) noexcept {
  if (bytes.size() < batch_prefix_bytes) return entry::none;
  const auto length = load_be<int32_t>(bytes.data() + batch_at::batch_length);
  if (length < entry_length_min) return entry::broken;
  if (bytes.size() < magic_end) return entry::none;
  const auto magic = load_be<int8_t>(bytes.data() + batch_at::magic);
  if (magic < 0 || magic > newest_magic) return entry::broken;
  return bytes.size() - batch_prefix_bytes < static_cast<size_t>(length) ? entry::none : entry::whole;
}

// Finds the one batch in the field. Ensures: the result is a whole entry of magic 2, perhaps shorter than a
// header.
std::expected<slice, batch_error> only_batch(const slice& records, const batch_rules& rules) {
  switch (look_at_entry(records)) {
    case entry::none:
      return refuse(errc::invalid_record, "no whole record batch in {} bytes", records.size());
    case entry::broken:
      return refuse(errc::corrupt_message, "the first record batch has an impossible length or format");
    case entry::whole:
      break;
  }
  const auto length = static_cast<size_t>(load_be<int32_t>(records.data() + batch_at::batch_length));
  const auto magic = load_be<int8_t>(records.data() + batch_at::magic);
  if (magic != batch_magic)
    return refuse(errc::invalid_record, "record format {}, only 2 is accepted", magic);
  slice batch = records.sub(0, batch_prefix_bytes + length);
  if (rules.produce_version < zstd_since_version && batch.size() >= batch_header_bytes &&
      (load_be<int16_t>(batch.data() + batch_at::attributes) & batch_attributes::codec_mask) ==
          static_cast<int16_t>(codec::zstd)) {
    return refuse(errc::unsupported_compression_type, "zstd needs Produce {} or later", zstd_since_version);
  }
  switch (look_at_entry(records.view().subspan(batch.size()))) {
    case entry::none:
      return batch;
    case entry::broken:
      return refuse(errc::corrupt_message, "something else follows the record batch");
    case entry::whole:
      break;
  }
  return refuse(errc::invalid_record, "more than one record batch for one partition");
}

// Everything but the records themselves.
outcome check_header(const slice& batch, const batch_rules& rules) {
  const bool has_header = batch.size() >= batch_header_bytes;
  const auto base_offset = load_be<int64_t>(batch.data() + batch_at::base_offset);
  if (base_offset != 0) return refuse(errc::invalid_record, "base offset {} instead of 0", base_offset);
  if (batch.size() > rules.batch_bytes_max) {
    return refuse(errc::message_too_large, "batch of {} bytes, {} are allowed", batch.size(),
                  rules.batch_bytes_max);
  }
  if (!has_header || !has_valid_crc(batch)) return refuse(errc::corrupt_message, "wrong crc or size");

  const batch_header header = batch_header::load(batch.data());
  if (header.is_transactional() && !rules.has_transactional_id) {
    return refuse(errc::transactional_id_authorization_failed,
                  "transactional batch without a transactional id");
  }
  if (!header.has_valid_codec()) {
    return refuse(errc::unknown_server_error, "unknown codec in attributes {}", header.attributes);
  }
  if (header.record_count <= 0 || int64_t{header.last_offset_delta} + 1 != header.record_count) {
    return refuse(errc::invalid_record, "record count {} does not go with last offset delta {}",
                  header.record_count, header.last_offset_delta);
  }
  if (header.is_control()) return refuse(errc::invalid_record, "control batches are the broker's to write");
  if (header.has_producer() && header.base_sequence < 0) {
    return refuse(errc::invalid_record, "producer {} without a sequence number", header.producer_id);
  }
  return {};
}

// A failure to decompress as the code Kafka gives it; our own limit is a batch too large.
batch_error decompression_error(error e) {
  const errc code = e.code == errc::limit_exceeded ? errc::message_too_large : errc::unknown_server_error;
  return {code, std::move(e.message), {}};
}

// What the walk over the records finds.
struct findings {
  int64_t max_timestamp = no_timestamp;
  int32_t max_timestamp_offset_delta = 0;
  bool has_null_value = false;
  bool has_wrong_offset_delta = false;
  bool has_invalid_timestamp = false;
  std::vector<record_error> errors;
};

int64_t timestamp_of(const batch_header& header, const record_view& record) noexcept {
  if (header.uses_append_time()) return header.max_timestamp;
  // Unsigned, since hostile numbers may wrap.
  return static_cast<int64_t>(static_cast<uint64_t>(header.base_timestamp) +
                              static_cast<uint64_t>(record.timestamp_delta));
}

bool is_out_of_range(int64_t timestamp, const batch_rules& rules) noexcept {
  const __int128 age = static_cast<__int128>(rules.now_ms) - timestamp;
  return age > rules.timestamp_before_max_ms || -age > rules.timestamp_after_max_ms;
}

void check_record(const batch_header& header, const record_view& record, int32_t index,
                  const batch_rules& rules, findings& found) {
  const int64_t timestamp = timestamp_of(header, record);
  if (rules.is_compacted && !record.key) {
    found.errors.push_back({index, "a compacted topic needs keys"});
  } else if (!rules.uses_append_time && timestamp != no_timestamp) {
    if (is_out_of_range(timestamp, rules)) {
      found.has_invalid_timestamp = true;
      found.errors.push_back(
          {index, fmt::format("timestamp {} is too far from the broker's time {}", timestamp, rules.now_ms)});
    }
  } else if (header.uses_append_time()) {
    found.has_invalid_timestamp = true;
    found.errors.push_back({index, "append time is the broker's to set"});
  }
  found.has_null_value |= record.is_tombstone();
  found.has_wrong_offset_delta |= record.offset_delta != index;
  if (index == 0 || timestamp > found.max_timestamp) {
    found.max_timestamp = timestamp;
    found.max_timestamp_offset_delta = index;
  }
}

std::expected<findings, batch_error> check_records(bytes_view records, const batch_header& header,
                                                   const batch_rules& rules) {
  findings found;
  record_iterator it(records, header.record_count);
  for (record_view record; it.next(record);) check_record(header, record, it.index() - 1, rules, found);
  if (auto walked = it.status(); !walked) return refuse(errc::invalid_record, "{}", walked.error().message);
  return found;
}

batch_error records_refused(findings found) {
  batch_error refused{found.has_invalid_timestamp ? errc::invalid_timestamp : errc::invalid_record, {}, {}};
  refused.message = fmt::format("{} records refused", found.errors.size());
  for (size_t i = 0; i < std::min(found.errors.size(), errors_spelled_out); ++i) {
    refused.message += fmt::format("; record {}: {}", found.errors[i].batch_index, found.errors[i].message);
  }
  refused.records = std::move(found.errors);
  return refused;
}

// The batch anew, in the wanted codec and with offset deltas 0, 1, 2, ...
slice lay_out_anew(const batch_header& header, bytes_view records, codec wanted, codec_level level) {
  batch_builder builder;
  record_iterator it(records, header.record_count);
  for (record_view record; it.next(record);) builder.add(timestamp_of(header, record), record);
  return builder.build({.compression = wanted,
                        .level = level,
                        .producer_id = header.producer_id,
                        .producer_epoch = header.producer_epoch,
                        .base_sequence = header.base_sequence,
                        .attributes = static_cast<int16_t>(header.attributes & kept_attributes)});
}

}  // namespace

std::expected<checked_batch, batch_error> check_produced_batch(const slice& records,
                                                               const batch_rules& rules) {
  auto batch = only_batch(records, rules);
  if (!batch) return std::unexpected(std::move(batch).error());
  if (auto valid = check_header(*batch, rules); !valid) return std::unexpected(std::move(valid).error());

  checked_batch checked{.bytes = *std::move(batch)};
  checked.header = batch_header::load(checked.bytes.data());
  const codec sent = checked.header.compression();
  const codec wanted = rules.stored_codec.value_or(sent);
  auto plain = plain_records(checked.bytes, checked.header, rules.plain_bytes_max);
  if (!plain) return std::unexpected(decompression_error(std::move(plain).error()));
  checked.records = *std::move(plain);

  auto found = check_records(checked.records, checked.header, rules);
  if (!found) return std::unexpected(std::move(found).error());
  if (!found->errors.empty()) return std::unexpected(records_refused(*std::move(found)));
  if (found->has_wrong_offset_delta && sent != codec::none && wanted == sent) {
    return refuse(errc::unknown_server_error, "offset deltas of a compressed batch are not 0, 1, 2, ...");
  }

  if (wanted != sent || found->has_wrong_offset_delta) {
    checked.bytes = lay_out_anew(checked.header, checked.records, wanted, rules.stored_level);
    checked.header = batch_header::load(checked.bytes.data());
    // Deltas are against the new header's base.
    checked.records = *plain_records(checked.bytes, checked.header, SIZE_MAX);
    if (checked.bytes.size() > rules.batch_bytes_max) {
      return refuse(errc::message_too_large, "batch of {} bytes once in the topic's codec, {} are allowed",
                    checked.bytes.size(), rules.batch_bytes_max);
    }
  }
  if (checked.bytes.size() > rules.segment_bytes) {
    return refuse(errc::record_list_too_large, "batch of {} bytes, a segment has {}", checked.bytes.size(),
                  rules.segment_bytes);
  }

  checked.has_null_value = found->has_null_value;
  checked.uses_append_time = rules.uses_append_time;
  checked.max_timestamp = rules.uses_append_time ? rules.now_ms : found->max_timestamp;
  checked.max_timestamp_offset_delta = rules.uses_append_time ? 0 : found->max_timestamp_offset_delta;
  checked.header.attributes &= kept_attributes;
  if (rules.uses_append_time) checked.header.attributes |= batch_attributes::append_time;
  checked.header.max_timestamp = checked.max_timestamp;
  return checked;
}

checked_batch trusted_batch(slice batch, slice plain_records) {
  checked_batch trusted{.bytes = std::move(batch)};
  trusted.header = batch_header::load(trusted.bytes.data());
  trusted.records = std::move(plain_records);
  if (trusted.header.compression() == codec::none) {
    trusted.records = trusted.bytes.sub(batch_header_bytes, trusted.bytes.size() - batch_header_bytes);
  }
  findings found;
  record_iterator it(trusted.records, trusted.header.record_count);
  for (record_view record; it.next(record);) check_record(trusted.header, record, it.index() - 1, {}, found);
  MR_ASSERT(it.status().has_value());
  trusted.max_timestamp = trusted.header.max_timestamp;
  trusted.max_timestamp_offset_delta = found.max_timestamp_offset_delta;
  trusted.uses_append_time = trusted.header.uses_append_time();
  trusted.has_null_value = found.has_null_value;
  return trusted;
}

void store_batch(const checked_batch& batch, int64_t base_offset, int32_t leader_epoch,
                 mutable_bytes into) noexcept {
  MR_ASSERT(into.size() == batch.bytes.size());
  std::memcpy(into.data(), batch.bytes.data(), into.size());
  set_base_offset(into, base_offset);
  set_leader_epoch(into, leader_epoch);
  const batch_header sent = batch_header::load(into.data());
  if (sent.attributes == batch.header.attributes && sent.max_timestamp == batch.header.max_timestamp) return;
  store_be(into.data() + batch_at::attributes, batch.header.attributes);
  set_max_timestamp(into, batch.header.max_timestamp);
}

}  // namespace millrace::protocol
