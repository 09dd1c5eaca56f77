#include "broker/config/topic_settings.h"

#include <algorithm>

#include "base/assert.h"
#include "broker/config/key_spec.h"
#include "broker/config/tables.h"

namespace millrace::broker {
namespace {

// A default that Kafka spells in more than one unit: the first key that is given counts.
struct unit_chain {
  std::string_view topic_key;
  struct {
    std::string_view broker_key;
    int64_t ms;
  } units[3];
};

constexpr int64_t minute_ms = 60'000;
constexpr int64_t hour_ms = 60 * minute_ms;

constexpr unit_chain chains[] = {
    {"retention.ms",
     {{"log.retention.ms", 1}, {"log.retention.minutes", minute_ms}, {"log.retention.hours", hour_ms}}},
    {"segment.ms", {{"log.roll.ms", 1}, {"log.roll.hours", hour_ms}, {"", 0}}},
    {"segment.jitter.ms", {{"log.roll.jitter.ms", 1}, {"log.roll.jitter.hours", hour_ms}, {"", 0}}},
};

class reader {
 public:
  reader(const config& broker, const topic_overrides& overrides) : broker_(broker), overrides_(overrides) {}

  std::string text(std::string_view key) const {
    if (const auto found = overrides_.find(key); found != overrides_.end()) return found->second;
    const key_spec* spec = find_key(topic_keys(), key);
    MR_ASSERT(spec != nullptr);
    return default_of_topic_key(broker_, *spec).text;
  }
  int64_t integer(std::string_view key) const { return to_integer(text(key)); }

 private:
  const config& broker_;
  const topic_overrides& overrides_;
};

bool is_replica_list(std::string_view key) {
  return key == "leader.replication.throttled.replicas" || key == "follower.replication.throttled.replicas";
}

// "*", or "PARTITION:BROKER,..."
bool are_replicas(std::string_view list) {
  if (trim(list) == "*") return true;
  constexpr auto is_number = [](std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  };
  return std::ranges::all_of(split_list(list), [&](std::string_view element) {
    const size_t colon = element.find(':');
    return colon != std::string_view::npos && is_number(element.substr(0, colon)) &&
           is_number(element.substr(colon + 1));
  });
}

void read_compression(const reader& read, topic_settings& s) {
  const std::string type = read.text("compression.type");
  if (type == "producer") return;
  s.stored_codec = type == "uncompressed" ? protocol::codec::none : protocol::parse_codec(type);
  if (type == "gzip" || type == "lz4" || type == "zstd") {
    const int64_t level = read.integer(fmt::format("compression.{}.level", type));
    // -1 is gzip's way to say its own default.
    if (type != "gzip" || level != -1) s.stored_level = static_cast<int>(level);
  }
}

}  // namespace

result<std::string> check_topic_override(std::string_view key, std::string_view value) {
  const key_spec* spec = find_key(topic_keys(), key);
  if (spec == nullptr) {
    const std::vector<std::string_view> names = names_of(topic_keys());
    const std::string_view nearest = nearest_name(key, names);
    return nearest.empty()
               ? fail(errc::invalid_config, "Unknown topic config name: {}", key)
               : fail(errc::invalid_config, "Unknown topic config name: {}; did you mean {}?", key, nearest);
  }
  result<std::string> checked = check_value(*spec, value);
  if (!checked) {
    return fail(errc::invalid_config, "Invalid value {} for configuration {}: {}", value, key,
                checked.error().message);
  }
  if (is_replica_list(key) && !are_replicas(*checked)) {
    return fail(
        errc::invalid_config,
        "Invalid value [{}] for configuration {}: {} must be the literal '*' or a list of replicas in the "
        "following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
        value, key, key);
  }
  if (const std::string_view reason = refusal_of_topic_value(key, *checked); !reason.empty()) {
    return fail(errc::invalid_config, "Invalid value {} for configuration {}: {}", value, key, reason);
  }
  return checked;
}

result<void> check_topic_overrides(topic_overrides& overrides) {
  for (auto& [key, value] : overrides) {
    result<std::string> checked = check_topic_override(key, value);
    if (!checked) return fail(std::move(checked).error());
    value = *std::move(checked);
  }
  const auto integer_of = [&overrides](std::string_view key) {
    const auto found = overrides.find(key);
    return to_integer(found != overrides.end() ? std::string_view(found->second)
                                               : *find_key(topic_keys(), key)->default_value);
  };
  const int64_t shortest = integer_of("min.compaction.lag.ms");
  const int64_t longest = integer_of("max.compaction.lag.ms");
  if (shortest > longest) {
    return fail(errc::invalid_config,
                "conflict topic config setting min.compaction.lag.ms ({}) > max.compaction.lag.ms ({})",
                shortest, longest);
  }
  return {};
}

topic_default default_of_topic_key(const config& broker, const key_spec& key) {
  for (const unit_chain& chain : chains) {
    if (chain.topic_key != key.name) continue;
    for (const auto& unit : chain.units) {
      if (unit.broker_key.empty()) continue;
      const configured_value* given = broker.given(unit.broker_key);
      if (given == nullptr) continue;
      const int64_t value = to_integer(given->text);
      return {std::to_string(value < 0 ? -1 : value * unit.ms), given->source};
    }
  }
  if (!key.broker_key.empty()) {
    if (const configured_value* given = broker.given(key.broker_key)) return {given->text, given->source};
  }
  return {std::string(key.default_value.value_or("")), value_source::built_in};
}

topic_settings make_topic_settings(const config& broker, const topic_overrides& overrides) {
  const reader read(broker, overrides);
  topic_settings s;
  const std::string policy = read.text("cleanup.policy");
  const auto policies = split_list(policy);
  s.is_compacted = std::ranges::find(policies, "compact") != policies.end();
  s.is_deleted_by_age = std::ranges::find(policies, "delete") != policies.end();
  read_compression(read, s);
  const std::string kept = read.text("durability");
  s.kept = kept == "sync" ? durability::sync : kept == "os" ? durability::os : durability::memory;
  s.is_log_append_time = read.text("message.timestamp.type") == "LogAppendTime";
  s.timestamp_before_max_ms = read.integer("message.timestamp.before.max.ms");
  s.timestamp_after_max_ms = read.integer("message.timestamp.after.max.ms");
  s.message_bytes_max = static_cast<int32_t>(read.integer("max.message.bytes"));
  s.decompressed_bytes_max = static_cast<int32_t>(read.integer("max.decompressed.message.bytes"));
  s.segment_bytes = read.integer("segment.bytes");
  s.segment_ms = read.integer("segment.ms");
  s.segment_jitter_ms = read.integer("segment.jitter.ms");
  s.index_interval_bytes = read.integer("index.interval.bytes");
  s.index_bytes_max = read.integer("segment.index.bytes");
  s.preallocates = read.text("preallocate") == "true";
  s.retention_ms = read.integer("retention.ms");
  s.retention_bytes = read.integer("retention.bytes");
  s.file_delete_delay_ms = read.integer("file.delete.delay.ms");
  s.dirty_ratio_min = to_number(read.text("min.cleanable.dirty.ratio"));
  s.compaction_lag_min_ms = read.integer("min.compaction.lag.ms");
  s.compaction_lag_max_ms = read.integer("max.compaction.lag.ms");
  s.delete_retention_ms = read.integer("delete.retention.ms");
  // As in Kafka: what is to be compacted in time must be out of the active segment in time.
  if (s.is_compacted) s.segment_ms = std::min(s.segment_ms, s.compaction_lag_max_ms);
  return s;
}

}  // namespace millrace::broker
