#include "broker/metadata/config_registry.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "broker/config/tables.h"
#include "broker/metadata/topic_registry.h"
#include "broker/server/connection_quota.h"
#include "broker/shard_context.h"
#include "runtime/shards.h"
#include "storage/codec.h"

namespace millrace::broker {
namespace {

using runtime::task;

// A keyed entry of the metadata log: "TYPE/NAME" and all values of that resource.
constexpr uint8_t stored_config_kind = 130;
constexpr uint16_t format_version = 1;

std::string key_of(resource_type type, std::string_view name) {
  return fmt::format("{}/{}", static_cast<int>(type), name);
}

std::string encode(const config_values& values) {
  if (values.empty()) return {};  // no entry
  storage::field_writer w;
  w.put(format_version);
  w.put(static_cast<uint32_t>(values.size()));
  for (const auto& [name, value] : values) {
    w.put_text(name);
    w.put_text(value);
  }
  return std::string(as_text(w.out()));
}

result<config_values> decode(std::string_view bytes) {
  storage::field_reader r(as_bytes(bytes));
  if (const auto version = r.get<uint16_t>(); r.ok() && version > format_version) {
    return fail(errc::not_supported, "a newer Millrace has stored it (format {}, this one knows {})", version,
                format_version);
  }
  config_values values;
  for (uint32_t n = r.get_count(8); n > 0 && r.ok(); --n) {
    std::string name = r.get_text();
    values[std::move(name)] = r.get_text();
  }
  if (!r.ok() || !r.at_end()) return fail(errc::corruption, "what the metadata log has of it cannot be read");
  return values;
}

// Where a resource's values lie; null for a type that keeps none. Empty sets are not kept.
config_values* values_of(dynamic_configs& all, resource_type type, std::string_view name) {
  switch (type) {
    case resource_type::broker:
      return name.empty() ? &all.cluster : &all.this_broker;
    case resource_type::group:
      return &all.groups[std::string(name)];
    case resource_type::client_metrics:
      return &all.client_metrics[std::string(name)];
    case resource_type::topic:
    case resource_type::broker_logger:
      break;
  }
  return nullptr;
}

void drop_empty(dynamic_configs& all) {
  std::erase_if(all.groups, [](const auto& item) { return item.second.empty(); });
  std::erase_if(all.client_metrics, [](const auto& item) { return item.second.empty(); });
}

result<config_values> altered_values(resource_type type, const config_values& now,
                                     const config_changes& wanted, const settings& broker) {
  switch (type) {
    case resource_type::broker:
      return altered_broker(now, wanted);
    case resource_type::group:
      return altered_group(now, wanted, broker);
    case resource_type::client_metrics:
      return altered_client_metrics(now, wanted);
    case resource_type::topic:
    case resource_type::broker_logger:
      break;
  }
  return fail(errc::invalid_request, "Unexpected resource type {}.", static_cast<int>(type));
}

// Names whose values differ.
std::vector<std::string> changed_names(const config_values& before, const config_values& after) {
  std::vector<std::string> names;
  for (const auto& [name, value] : before) {
    const auto kept = after.find(name);
    if (kept == after.end() || kept->second != value) names.push_back(name);
  }
  for (const auto& [name, value] : after) {
    if (!before.contains(name)) names.push_back(name);
  }
  return names;
}

bool is_topic_default(std::string_view broker_key) {
  return std::ranges::find(topic_keys(), broker_key, &key_spec::broker_key) != topic_keys().end();
}

}  // namespace

result<dynamic_configs> config_registry::stored(const storage::metadata_state& state, int32_t node_id) {
  dynamic_configs all;
  for (const auto& [key, bytes] : state.keyed) {
    if (key.first != stored_config_kind) continue;
    auto decoded = decode(bytes);
    if (!decoded)
      return fail(decoded.error().code, "configuration of {}: {}", key.second, decoded.error().message);
    const auto has_type = [&key](resource_type type) { return key.second.starts_with(key_of(type, "")); };
    const std::string name = key.second.substr(std::min(key.second.size(), key.second.find('/') + 1));
    if (has_type(resource_type::group)) all.groups[name] = *std::move(decoded);
    if (has_type(resource_type::client_metrics)) all.client_metrics[name] = *std::move(decoded);
    if (!has_type(resource_type::broker)) continue;
    if (name.empty()) all.cluster = *decoded;
    if (name == std::to_string(node_id)) all.this_broker = *decoded;
  }
  return all;
}

void config_registry::apply_at_start(node& whole, dynamic_configs stored) {
  for (config_values* values : {&stored.cluster, &stored.this_broker}) {
    std::erase_if(*values, [](const auto& item) {
      const config_changes one{.changes = {{item.first, alter_op::set, item.second}}};
      const auto checked = altered_broker({}, one);
      if (!checked)
        log::warn("a configuration set at run time is left out key={} reason=\"{}\"", item.first,
                  checked.error().message);
      return !checked;
    });
  }
  config given = whole.given;
  given.set_at_run_time(stored.cluster, stored.this_broker);
  result<settings> made = make_settings(given);
  if (made) {
    whole.given = std::move(given);
    whole.config = *std::move(made);
  } else {
    log::error("the configuration set at run time is left out reason=\"{}\"", made.error().message);
    stored.cluster.clear();
    stored.this_broker.clear();
  }
  whole.dynamic = std::make_shared<const dynamic_configs>(std::move(stored));
}

task<result<void>> config_registry::alter(resource_type type, std::string name, config_changes changes,
                                          bool validate_only) {
  co_await writing_.acquire(1);
  const runtime::semaphore_units held(writing_, 1);

  const shard_context& here = *whole_.shards[0];
  dynamic_configs next = here.dynamic();
  config_values* values = values_of(next, type, name);
  if (values == nullptr)
    co_return fail(errc::invalid_request, "Unexpected resource type {}.", static_cast<int>(type));
  const config_values before = *values;
  result<config_values> after = altered_values(type, before, changes, here.config());
  if (!after) co_return fail(std::move(after).error());
  const std::vector<std::string> changed = changed_names(before, *after);
  *values = *after;
  drop_empty(next);
  config given = here.given();
  given.set_at_run_time(next.cluster, next.this_broker);
  const result<settings> made = make_settings(given);
  if (!made) co_return fail(errc::invalid_request, "{}", made.error().message);
  if (validate_only || changed.empty()) co_return result<void>();

  std::vector<storage::metadata_entry> entries;
  entries.emplace_back(
      storage::keyed_entry{.kind = stored_config_kind, .key = key_of(type, name), .value = encode(*after)});
  const result<void> logged = co_await log_.append(std::move(entries));
  if (!logged) co_return fail(logged.error());
  co_await publish(std::make_shared<const dynamic_configs>(std::move(next)), given, *made);
  for (const std::string& key : changed) {
    log::info("configuration changed of=\"{}\" key={}", key_of(type, name), key);
    if (type == resource_type::broker && find_key(idle_keys(), key) != nullptr)
      log::info("this key has no effect here key={}", key);
  }
  if (type == resource_type::client_metrics)
    log::info("subscriptions to clients' metrics are kept, but clients are not asked for any name=\"{}\"",
              name);
  if (type == resource_type::broker && std::ranges::any_of(changed, is_topic_default))
    co_await whole_.topics->follow_defaults();
  co_return result<void>();
}

task<void> config_registry::publish(std::shared_ptr<const dynamic_configs> now, const config& given,
                                    const settings& made) {
  for (uint32_t shard = 0; shard < whole_.shard_count(); ++shard) {
    const auto adopt_there = [this, &now, &given, &made, shard] {
      shard_context& context = *whole_.shards[shard];
      context.adopt(now, given, made);
      context.store().set_producer_expiration(made.producer_id_expiration_ms);
    };
    co_await runtime::call_on(shard_id(shard), adopt_there);
  }
  whole_.quota->set_limits(made.connections_max, made.connections_per_address_max);
}

}  // namespace millrace::broker
