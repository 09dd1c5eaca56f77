#include "broker/processing/stored.h"

#include <algorithm>

#include "storage/codec.h"

namespace millrace::broker {
namespace {

// 2 has partition_by, 3 several inputs; without these it is stored as 2, which earlier brokers know.
constexpr uint16_t format_version = 3;

constexpr std::string processor_entry::* texts[] = {&processor_entry::name,
                                                    &processor_entry::library,
                                                    &processor_entry::input,
                                                    &processor_entry::on_error,
                                                    &processor_entry::dead_letter,
                                                    &processor_entry::retries,
                                                    &processor_entry::retry_backoff_ms,
                                                    &processor_entry::state_bytes_max,
                                                    &processor_entry::external_writes,
                                                    &processor_entry::start,
                                                    &processor_entry::compression,
                                                    &processor_entry::outbox_bytes_max,
                                                    &processor_entry::isolation,
                                                    &processor_entry::process_bytes_max};

using pairs = std::vector<std::pair<std::string, std::string>>;

void put(storage::field_writer& w, const pairs& all) {
  w.put(static_cast<uint32_t>(all.size()));
  for (const auto& [name, value] : all) {
    w.put_text(name);
    w.put_text(value);
  }
}

pairs get_pairs(storage::field_reader& r) {
  pairs all;
  for (uint32_t n = r.get_count(8); n > 0 && r.ok(); --n) {
    std::string name = r.get_text();
    all.emplace_back(std::move(name), r.get_text());
  }
  return all;
}

// Texts are counted, so that one more is no new version.
uint16_t format_of(const stored_processor& p) {
  const bool has_inputs =
      !p.current.entry.inputs.empty() ||
      std::ranges::any_of(p.earlier, [](const auto& v) { return !v.entry.inputs.empty(); });
  return has_inputs ? 3 : 2;
}

void put(storage::field_writer& w, const stored_version& v, uint16_t format) {
  w.put(static_cast<uint32_t>(std::size(texts)));
  for (const auto field : texts) w.put_text(v.entry.*field);
  put(w, v.entry.outputs);
  put(w, v.entry.settings);
  put(w, v.entry.partition_by);
  if (format >= 3) put(w, v.entry.inputs);
  w.put_text(v.content_hash);
  w.put(v.deployed_at_ms);
}

stored_version get_version(storage::field_reader& r, uint16_t format) {
  stored_version v;
  const uint32_t count = r.get_count(4);
  for (uint32_t i = 0; i < count && r.ok(); ++i) {
    std::string text = r.get_text();
    if (i < std::size(texts)) v.entry.*texts[i] = std::move(text);
  }
  v.entry.outputs = get_pairs(r);
  v.entry.settings = get_pairs(r);
  if (format >= 2) v.entry.partition_by = get_pairs(r);
  if (format >= 3) v.entry.inputs = get_pairs(r);
  v.content_hash = r.get_text();
  v.deployed_at_ms = r.get<int64_t>();
  return v;
}

}  // namespace

std::string encode_stored(const stored_processor& p) {
  storage::field_writer w;
  const uint16_t format = format_of(p);
  w.put(format);
  put(w, p.current, format);
  w.put(static_cast<uint32_t>(p.earlier.size()));
  for (const stored_version& v : p.earlier) put(w, v, format);
  w.put(static_cast<uint8_t>(p.role));
  w.put_text(p.of);
  w.put(static_cast<uint32_t>(p.until.size()));
  for (const int64_t end : p.until) w.put(end);
  w.put(static_cast<uint8_t>(p.is_leaving));
  return std::string(as_text(w.out()));
}

result<stored_processor> decode_stored(std::string_view bytes) {
  storage::field_reader r(as_bytes(bytes));
  const auto version = r.get<uint16_t>();
  if (r.ok() && version > format_version)
    return fail(errc::not_supported,
                "a newer Millrace has stored it (format {}, this one knows {}): start that version again, or "
                "remove the processor with it first",
                version, format_version);
  stored_processor p;
  p.current = get_version(r, version);
  for (uint32_t n = r.get_count(4); n > 0 && r.ok(); --n) p.earlier.push_back(get_version(r, version));
  p.role = static_cast<stored_role>(r.get<uint8_t>());
  p.of = r.get_text();
  for (uint32_t n = r.get_count(8); n > 0 && r.ok(); --n) p.until.push_back(r.get<int64_t>());
  p.is_leaving = r.get<uint8_t>() != 0;
  if (!r.ok() || !r.at_end() || p.role > stored_role::shadow)
    return fail(errc::corruption, "what the metadata log has of it cannot be read");
  return p;
}

result<std::map<std::string, stored_processor>> stored_processors(const storage::metadata_state& state) {
  std::map<std::string, stored_processor> all;
  for (const auto& [key, value] : state.keyed) {
    if (key.first != stored_processor_kind) continue;
    auto decoded = decode_stored(value);
    if (!decoded) return fail(decoded.error().code, "processor {}: {}", key.second, decoded.error().message);
    all.emplace(key.second, std::move(*decoded));
  }
  return all;
}

storage::metadata_entry entry_of(const std::string& name, const stored_processor& p) {
  return storage::keyed_entry{stored_processor_kind, name, encode_stored(p)};
}

storage::metadata_entry no_entry_of(const std::string& name) {
  return storage::keyed_entry{stored_processor_kind, name, {}};
}

storage::metadata_entry pause_entry_of(const std::string& name, bool is_paused) {
  return storage::keyed_entry{stored_pause_kind, name, is_paused ? "1" : ""};
}

}  // namespace millrace::broker
