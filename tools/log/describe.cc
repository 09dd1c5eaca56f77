#include "tools/log/describe.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "protocol/codec.h"
#include "protocol/record.h"

namespace millrace::tools {

namespace {

constexpr size_t inflated_bytes_max = size_t{1} << 30;

std::string time_text(int64_t ms) {
  if (ms < 0) return "no time";
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), ms % 1000);
}

std::optional<std::string_view> as_optional_text(std::optional<bytes_view> bytes) {
  if (!bytes) return std::nullopt;
  return as_text(*bytes);
}

std::string bytes_text(std::optional<bytes_view> bytes) {
  if (!bytes) return "null";
  const std::string_view text = as_text(*bytes);
  std::string out;
  if (is_utf8(text)) {
    append_json_string(out, text);
  } else {
    out = "base64:";
    append_base64(out, text);
  }
  return out;
}

int64_t timestamp_of(const protocol::batch_header& header, const protocol::record_view& record) {
  return header.uses_append_time() ? header.max_timestamp : header.base_timestamp + record.timestamp_delta;
}

std::string line_of(const protocol::batch_header& header, const protocol::record_view& record) {
  std::string out =
      fmt::format("{}  {}  {} = {}", header.base_offset + record.offset_delta,
                  time_text(timestamp_of(header, record)), bytes_text(record.key), bytes_text(record.value));
  protocol::header_iterator headers(record);
  for (protocol::record_header_view header; headers.next(header);) {
    out += fmt::format("  {}: {}", bytes_text(as_bytes(header.key)), bytes_text(header.value));
  }
  return out;
}

void add_object(json_writer& json, const protocol::batch_header& header,
                const protocol::record_view& record) {
  json.begin_object().member("offset", header.base_offset + record.offset_delta);
  json.member("timestamp", timestamp_of(header, record));
  json.bytes_member("key", as_optional_text(record.key))
      .bytes_member("value", as_optional_text(record.value));
  json.key("headers").begin_array();
  protocol::header_iterator headers(record);
  for (protocol::record_header_view header; headers.next(header);) {
    json.begin_object()
        .bytes_member("name", header.key)
        .bytes_member("value", as_optional_text(header.value))
        .end_object();
  }
  json.end_array().end_object();
}

// Hands the record at `offset` to `take`; false if the batch has none, or cannot be read.
template <class Take>
bool with_record(const located_batch& batch, int64_t offset, const Take& take) {
  const auto plain = protocol::plain_records(batch.bytes, batch.header, inflated_bytes_max);
  if (!plain) return false;
  protocol::record_iterator records(*plain, batch.header.record_count);
  for (protocol::record_view record; records.next(record);) {
    if (batch.header.base_offset + record.offset_delta != offset) continue;
    take(record);
    return true;
  }
  return false;
}

}  // namespace

std::string batch_text(const protocol::batch_header& h, bool is_intact) {
  std::string text = fmt::format("offsets {}-{}  {} record{}  {} B  {}  {}", h.base_offset, h.last_offset(),
                                 h.record_count, h.record_count == 1 ? "" : "s", h.size_bytes(),
                                 protocol::name_of(h.compression()), time_text(h.max_timestamp));
  text += fmt::format("  epoch {}", h.leader_epoch);
  if (h.has_producer()) {
    text += fmt::format("  producer {}/{} seq {}-{}", h.producer_id, h.producer_epoch, h.base_sequence,
                        h.last_sequence());
  }
  if (h.uses_append_time()) text += "  append-time";
  if (h.is_transactional()) text += "  transactional";
  if (h.is_control()) text += "  control";
  text += is_intact ? fmt::format("  crc {:08x}", h.crc) : fmt::format("  crc {:08x} WRONG", h.crc);
  return text;
}

void add_batch_members(json_writer& json, const protocol::batch_header& h, bool is_intact) {
  json.member("base_offset", h.base_offset)
      .member("last_offset", h.last_offset())
      .member("records", h.record_count);
  json.member("bytes", h.size_bytes()).member("codec", protocol::name_of(h.compression()));
  json.member("base_timestamp", h.base_timestamp).member("max_timestamp", h.max_timestamp);
  json.member("timestamp_type", h.uses_append_time() ? "append" : "create")
      .member("leader_epoch", h.leader_epoch);
  json.member("producer_id", h.producer_id).member("producer_epoch", h.producer_epoch);
  json.member("base_sequence", h.base_sequence).member("transactional", h.is_transactional());
  json.member("control", h.is_control()).member("crc", h.crc).member("crc_ok", is_intact);
}

std::string records_text(const located_batch& batch, std::string_view indent) {
  const auto plain = protocol::plain_records(batch.bytes, batch.header, inflated_bytes_max);
  if (!plain) return fmt::format("{}unreadable: {}\n", indent, plain.error().message);
  std::string out;
  protocol::record_iterator records(*plain, batch.header.record_count);
  for (protocol::record_view record; records.next(record);) {
    out += fmt::format("{}{}\n", indent, line_of(batch.header, record));
  }
  if (const auto good = records.status(); !good)
    out += fmt::format("{}unreadable: {}\n", indent, good.error().message);
  return out;
}

void add_records(json_writer& json, const located_batch& batch) {
  json.begin_array();
  if (const auto plain = protocol::plain_records(batch.bytes, batch.header, inflated_bytes_max)) {
    protocol::record_iterator records(*plain, batch.header.record_count);
    for (protocol::record_view record; records.next(record);) add_object(json, batch.header, record);
  }
  json.end_array();
}

std::string record_text(const located_batch& batch, int64_t offset) {
  std::string text;
  with_record(batch, offset, [&](const auto& record) { text = line_of(batch.header, record); });
  return text;
}

bool add_record(json_writer& json, const located_batch& batch, int64_t offset) {
  return with_record(batch, offset, [&](const auto& record) { add_object(json, batch.header, record); });
}

std::string wal_entry_text(const storage::wal::entry& entry) {
  namespace wal = storage::wal;
  switch (entry.kind) {
    case wal::entry_kind::cursor:
      if (const auto c = wal::decode_cursor(entry.body)) {
        return fmt::format("cursor  processor {}  input {}[{}]  next offset {}", c->key.processor.to_string(),
                           c->key.input.topic.to_string(), c->key.input.partition, c->next_offset);
      }
      break;
    case wal::entry_kind::log_start:
      if (const auto s = wal::decode_log_start(entry.body)) {
        return fmt::format("log start  {}[{}]  offset {}", s->id.topic.to_string(), s->id.partition,
                           s->start.value());
      }
      break;
    case wal::entry_kind::tail:
      if (const auto t = wal::decode_tail(entry.body)) {
        return fmt::format("tail  {}[{}]  segment {}  position {}  {} B", t->id.topic.to_string(),
                           t->id.partition, t->segment_base.value(), t->position, t->bytes.size());
      }
      break;
    default:
      break;
  }
  return fmt::format("entry of kind {}, {} B, not understood", static_cast<int>(entry.kind),
                     entry.body.size());
}

}  // namespace millrace::tools
