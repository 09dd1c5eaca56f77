#include "broker/config/dynamic.h"

#include <algorithm>
#include <fmt/ranges.h>
#include <re2/re2.h>

#include "broker/config/tables.h"

namespace millrace::broker {
namespace {

using enum value_type;

// Beside the keys that topics take their defaults from.
constexpr std::string_view changeable[] = {
    "background.threads",
    "config.providers",
    "follower.fetch.last.tiered.offset.enable",
    "follower.replication.throttled.rate",
    "group.consumer.assignment.interval.ms",
    "group.coordinator.cached.buffer.max.bytes",
    "group.share.assignment.interval.ms",
    "group.streams.assignment.interval.ms",
    "leader.replication.throttled.rate",
    "log.cleaner.backoff.ms",
    "log.cleaner.dedupe.buffer.size",
    "log.cleaner.io.buffer.load.factor",
    "log.cleaner.io.buffer.size",
    "log.cleaner.io.max.bytes.per.second",
    "log.cleaner.threads",
    "max.connection.creation.rate",
    "max.connections",
    "max.connections.per.ip",
    "max.connections.per.ip.overrides",
    "metric.reporters",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
    "producer.id.expiration.ms",
    "remote.fetch.max.wait.ms",
    "remote.list.offsets.request.timeout.ms",
    "remote.log.index.file.cache.total.size.bytes",
    "remote.log.manager.copier.thread.pool.size",
    "remote.log.manager.copy.max.bytes.per.second",
    "remote.log.manager.expiration.thread.pool.size",
    "remote.log.manager.fetch.max.bytes.per.second",
    "remote.log.manager.follower.thread.pool.size",
    "remote.log.reader.threads",
    "replica.alter.log.dirs.io.max.bytes.per.second",
    "share.coordinator.cached.buffer.max.bytes",
    "transaction.partition.verification.enable",
};

constexpr key_spec group_table[] = {
    {"consumer.assignment.interval.ms", int32, "1000", "[0,...]",
     "How long partitions are not divided anew after they were.", "group.consumer.assignment.interval.ms"},
    {"consumer.heartbeat.interval.ms", int32, "5000", "[1,...]",
     "How often members of the consumer protocol are told to send heartbeats.",
     "group.consumer.heartbeat.interval.ms"},
    {"consumer.session.timeout.ms", int32, "45000", "[1,...]",
     "After how long without a heartbeat a member of the consumer protocol is out.",
     "group.consumer.session.timeout.ms"},
};

constexpr key_spec metrics_table[] = {
    {"interval.ms", int32, "300000", "", "How often clients would push their metrics.", ""},
    {"match", list, "", "", "Which clients: NAME=PATTERN of what a client says of itself.", ""},
    {"metrics", list, "", "", "Which metrics: beginnings of their names; \"*\" for all.", ""},
};

constexpr std::string_view client_traits[] = {"client_instance_id",    "client_id",
                                              "client_software_name",  "client_software_version",
                                              "client_source_address", "client_source_port"};

const key_spec* find_broker_key(std::string_view name) {
  if (const key_spec* key = find_key(broker_keys(), name)) return key;
  return find_key(idle_keys(), name);
}

result<void> check_broker_names(const config_changes& wanted) {
  std::vector<std::string_view> fixed;
  for (const config_change& c : wanted.changes) {
    const key_spec* key = find_broker_key(c.name);
    if (key != nullptr && !may_change_at_run_time(c.name)) fixed.push_back(c.name);
    // What is not set can be taken back, whatever it is.
    if (key == nullptr && c.op != alter_op::remove)
      return fail(errc::invalid_config, "Unknown broker config name: {}", c.name);
    if (key != nullptr && key->type != list && (c.op == alter_op::append || c.op == alter_op::subtract)) {
      return fail(errc::invalid_config, "Config value {} is not allowed for config key: {}",
                  c.op == alter_op::append ? "append" : "subtract", c.name);
    }
  }
  if (!fixed.empty()) {
    return fail(errc::invalid_request, "Cannot update these configs dynamically: [{}]",
                fmt::join(fixed, ", "));
  }
  return {};
}

std::vector<key_spec> all_broker_keys() {
  std::vector<key_spec> keys(broker_keys().begin(), broker_keys().end());
  keys.insert(keys.end(), idle_keys().begin(), idle_keys().end());
  return keys;
}

result<void> check_bounds(std::string_view name, std::string_view value, int64_t low, int64_t high) {
  // "consumer.session.timeout.ms" -> "session.timeout.ms"
  const std::string_view what = name.substr(name.find('.') + 1);
  const int64_t number = to_integer(value);
  if (number < low)
    return fail(errc::invalid_config, "{} must be greater than or equal to group.consumer.min.{}", name,
                what);
  if (number > high)
    return fail(errc::invalid_config, "{} must be less than or equal to group.consumer.max.{}", name, what);
  return {};
}

result<void> check_group_value(const key_spec& key, std::string& value, const settings& broker) {
  auto checked = check_value(key, value);
  if (!checked) {
    return fail(errc::invalid_config, "Invalid value {} for configuration {}: {}", value, key.name,
                checked.error().message);
  }
  value = *std::move(checked);
  if (key.name == "consumer.session.timeout.ms") {
    return check_bounds(key.name, value, broker.consumer_session_timeout_min_ms,
                        broker.consumer_session_timeout_max_ms);
  }
  if (key.name == "consumer.heartbeat.interval.ms") {
    return check_bounds(key.name, value, broker.consumer_heartbeat_interval_min_ms,
                        broker.consumer_heartbeat_interval_max_ms);
  }
  return check_bounds(key.name, value, broker.consumer_assignment_interval_min_ms,
                      broker.consumer_assignment_interval_max_ms);
}

result<void> check_client_pattern(std::string_view element) {
  const size_t equals = element.find('=');
  const auto pattern =
      equals == std::string_view::npos ? std::string_view() : trim(element.substr(equals + 1));
  const bool is_trait =
      equals != std::string_view::npos &&
      std::ranges::find(client_traits, trim(element.substr(0, equals))) != std::end(client_traits);
  if (!is_trait || pattern.empty() || !RE2(pattern, RE2::Quiet).ok())
    return fail(errc::invalid_config, "Illegal client matching pattern: {}", element);
  return {};
}

}  // namespace

bool may_change_at_run_time(std::string_view broker_key) {
  if (std::ranges::find(changeable, broker_key) != std::end(changeable)) return true;
  // A topic's durability is fixed with it, so its default cannot change under topics that are there.
  return broker_key != "durability" && !broker_key.empty() &&
         std::ranges::find(topic_keys(), broker_key, &key_spec::broker_key) != topic_keys().end() &&
         broker_key != "max.decompressed.message.bytes";
}

result<config_values> altered_broker(const config_values& now, const config_changes& wanted) {
  MR_TRY(check_broker_names(wanted));
  static const std::vector<key_spec> keys = all_broker_keys();
  result<config_values> after = altered(keys, now, wanted);
  if (!after) return after;
  for (auto& [name, value] : *after) {
    const key_spec* key = find_broker_key(name);
    // It may come from a version that knew it.
    if (key == nullptr) continue;
    auto checked = check_value(*key, value);
    if (!checked) {
      return fail(errc::invalid_request, "Invalid value {} for configuration {}: {}", value, name,
                  checked.error().message);
    }
    value = *std::move(checked);
    if (const std::string_view reason = refusal_of_broker_value(name, value); !reason.empty())
      return fail(errc::invalid_request, "Invalid value {} for configuration {}: {}", value, name, reason);
  }
  return after;
}

std::span<const key_spec> group_keys() {
  return group_table;
}

result<config_values> altered_group(const config_values& now, const config_changes& wanted,
                                    const settings& broker) {
  result<config_values> after = altered(group_table, now, wanted);
  if (!after) return after;
  for (auto& [name, value] : *after) {
    const key_spec* key = find_key(group_table, name);
    if (key == nullptr) {
      if (name.starts_with("share.") || name.starts_with("streams.") || name.starts_with("errors.")) {
        return fail(errc::invalid_config, "{} cannot be set: there are no groups of that kind here", name);
      }
      return fail(errc::invalid_config, "Unknown group config name: {}", name);
    }
    MR_TRY(check_group_value(*key, value, broker));
  }
  return after;
}

std::span<const key_spec> client_metrics_keys() {
  return metrics_table;
}

result<config_values> altered_client_metrics(const config_values& now, const config_changes& wanted) {
  constexpr int64_t interval_ms_min = 100, interval_ms_max = 3'600'000;
  result<config_values> after = altered(metrics_table, now, wanted);
  if (!after) return after;
  for (auto& [name, value] : *after) {
    const key_spec* key = find_key(metrics_table, name);
    if (key == nullptr) return fail(errc::invalid_request, "Unknown client metrics configuration: {}", name);
    auto checked = check_value(*key, value);
    if (!checked) {
      return fail(errc::invalid_config, "Invalid value {} for configuration {}: {}", value, name,
                  checked.error().message);
    }
    value = *std::move(checked);
    if (name == "interval.ms" &&
        (to_integer(value) < interval_ms_min || to_integer(value) > interval_ms_max)) {
      return fail(errc::invalid_request,
                  "Invalid value {} for interval.ms, interval must be between 100 and 3600000 (1 hour)",
                  value);
    }
    if (name != "match") continue;
    for (const std::string_view element : split_list(value)) MR_TRY(check_client_pattern(element));
  }
  return after;
}

}  // namespace millrace::broker
