#include "broker/processing/entries.h"

#include <charconv>

#include "protocol/codec.h"

namespace millrace::broker {
namespace {

// Where it stands in the file, or else which processor it is.
std::string place_of(const processor_entry& entry) {
  return entry.where.empty() ? fmt::format("processor {}", entry.name) : entry.where;
}

// A whole number of a [[processor]] table; `into` stays as it is if it was not given.
template <class T>
result<void> read_number(const processor_entry& entry, std::string_view key, const std::string& text,
                         T& into) {
  if (text.empty()) return {};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), into);
  if (code == std::errc{} && end == text.data() + text.size()) return {};
  return fail(errc::invalid_config, "{}: {} = {} is not a whole number from 0 on", place_of(entry), key,
              text);
}

}  // namespace

result<processors::processor_spec> spec_of(const processor_entry& entry) {
  processors::processor_spec spec;
  spec.name = entry.name;
  spec.library = entry.library;
  spec.inputs = {entry.inputs.begin(), entry.inputs.end()};
  spec.input = spec.inputs.empty() ? entry.input : spec.inputs.begin()->second;
  spec.outputs = {entry.outputs.begin(), entry.outputs.end()};
  spec.options = {entry.settings.begin(), entry.settings.end()};
  if (!entry.on_error.empty()) {
    const auto policy = processors::parse_error_policy(entry.on_error);
    if (!policy) return fail(errc::invalid_config, "{}: {}", place_of(entry), policy.error().message);
    spec.on_error = *policy;
  }
  spec.dead_letter = entry.dead_letter;
  MR_TRY(read_number(entry, "retries", entry.retries, spec.retries));
  MR_TRY(read_number(entry, "retry_backoff_ms", entry.retry_backoff_ms, spec.retry_backoff_ms));
  MR_TRY(read_number(entry, "state_bytes_max", entry.state_bytes_max, spec.state_bytes_max));
  MR_TRY(read_number(entry, "outbox_bytes_max", entry.outbox_bytes_max, spec.outbox_bytes_max));
  MR_TRY(read_number(entry, "process_bytes_max", entry.process_bytes_max, spec.process_bytes_max));
  for (const auto& [output, how] : entry.partition_by) {
    const auto by = processors::parse_partitioning(how);
    if (!by)
      return fail(errc::invalid_config, "{}: outputs.{}: {}", place_of(entry), output, by.error().message);
    spec.partition_by[output] = *by;
  }
  if (!entry.external_writes.empty() && entry.external_writes != "true" && entry.external_writes != "false")
    return fail(errc::invalid_config, "{}: external_writes = {}: true or false are possible", place_of(entry),
                entry.external_writes);
  spec.has_external_writes = entry.external_writes == "true";
  if (!entry.isolation.empty()) {
    const auto isolated = processors::parse_isolation(entry.isolation);
    if (!isolated) return fail(errc::invalid_config, "{}: {}", place_of(entry), isolated.error().message);
    spec.isolated = *isolated;
  }
  if (!entry.start.empty()) {
    const auto start = processors::parse_start_position(entry.start);
    if (!start) return fail(errc::invalid_config, "{}: {}", place_of(entry), start.error().message);
    spec.start = *start;
  }
  if (!entry.compression.empty()) {
    const auto codec = protocol::parse_codec(entry.compression);
    if (!codec)
      return fail(errc::invalid_config,
                  "{}: compression = \"{}\": none, gzip, snappy, lz4 or zstd are possible", place_of(entry),
                  entry.compression);
    spec.output_compression = *codec;
  }
  return spec;
}

result<processors::processor_spec> spec_of(const stored_processor& p) {
  auto spec = spec_of(p.current.entry);
  if (!spec) return spec;
  spec->stands_for = p.of;
  if (p.role == stored_role::replay) spec->until = p.until;
  spec->is_shadow = p.role == stored_role::shadow;
  return spec;
}

}  // namespace millrace::broker
