#include "broker/api/config_entries.h"

#include <algorithm>
#include <iterator>

#include "broker/config/dynamic.h"
#include "broker/config/tables.h"
#include "broker/config/topic_settings.h"

namespace millrace::broker {
namespace {

config_source source_of(value_source source) {
  switch (source) {
    case value_source::this_broker:
      return config_source::this_broker;
    case value_source::cluster:
      return config_source::cluster;
    case value_source::built_in:
      return config_source::built_in;
    case value_source::file:
    case value_source::environment:
    case value_source::command_line:
      break;
  }
  return config_source::static_broker;
}

// What the broker has of one of its keys: that which counts first, the default last.
std::vector<config_entry::synonym> broker_values(const key_spec& key, const config& broker) {
  std::vector<config_entry::synonym> values;
  for (const configured_value* v : broker.all_given(key.name))
    values.push_back({std::string(key.name), v->text, source_of(v->source)});
  if (key.default_value)
    values.push_back({std::string(key.name), std::string(*key.default_value), config_source::built_in});
  return values;
}

void hide_if_secret(config_entry& entry) {
  if (!entry.is_sensitive) return;
  entry.value = std::nullopt;
  for (config_entry::synonym& s : entry.synonyms) s.value = std::nullopt;
}

config_entry describe(const key_spec& key, const config& broker) {
  config_entry entry{.key = &key,
                     .is_read_only = !may_change_at_run_time(key.name),
                     .is_sensitive = key.type == value_type::password,
                     .synonyms = broker_values(key, broker)};
  if (!entry.synonyms.empty()) {
    entry.value = entry.synonyms.front().value;
    entry.source = entry.synonyms.front().source;
  }
  hide_if_secret(entry);
  return entry;
}

const key_spec* find_broker_key(std::string_view name) {
  if (const key_spec* key = find_key(broker_keys(), name)) return key;
  return find_key(idle_keys(), name);
}

// The value a resource has of its own, if any, over the broker's.
config_entry describe_over(const key_spec& key, const config_values& own, config_source source,
                           const config& broker) {
  config_entry entry{.key = &key};
  if (const auto found = own.find(key.name); found != own.end())
    entry.synonyms.push_back({std::string(key.name), found->second, source});
  if (const key_spec* fallback = key.broker_key.empty() ? nullptr : find_broker_key(key.broker_key))
    std::ranges::move(broker_values(*fallback, broker), std::back_inserter(entry.synonyms));
  if (!entry.synonyms.empty()) {
    entry.value = entry.synonyms.front().value;
    entry.source = entry.synonyms.front().source;
  }
  return entry;
}

}  // namespace

std::vector<config_entry> describe_topic_config(const topic_overrides& overrides, const config& broker) {
  std::vector<config_entry> entries;
  for (const key_spec& key : topic_keys()) {
    config_entry entry = describe_over(key, overrides, config_source::topic, broker);
    if (!overrides.contains(key.name)) {
      // The broker's key may be given in another unit, or not be there at all.
      const topic_default fallback = default_of_topic_key(broker, key);
      entry.value = fallback.text;
      entry.source = source_of(fallback.source);
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<config_entry> describe_broker_config(const config& broker) {
  std::vector<config_entry> entries;
  for (const auto table : {broker_keys(), idle_keys()}) {
    for (const key_spec& key : table) entries.push_back(describe(key, broker));
  }
  return entries;
}

std::vector<config_entry> describe_cluster_config(const config_values& cluster) {
  std::vector<config_entry> entries;
  for (const auto& [name, value] : cluster) {
    const key_spec* key = find_broker_key(name);
    if (key == nullptr) continue;
    entries.push_back({.key = key,
                       .value = value,
                       .source = config_source::cluster,
                       .is_sensitive = key->type == value_type::password,
                       .synonyms = {{name, value, config_source::cluster}}});
    hide_if_secret(entries.back());
  }
  return entries;
}

std::vector<config_entry> describe_group_config(const config_values& own, const config& broker) {
  std::vector<config_entry> entries;
  for (const key_spec& key : group_keys())
    entries.push_back(describe_over(key, own, config_source::group, broker));
  return entries;
}

std::vector<config_entry> describe_client_metrics_config(const config_values& own) {
  std::vector<config_entry> entries;
  for (const key_spec& key : client_metrics_keys()) {
    const auto found = own.find(key.name);
    if (found == own.end()) continue;
    entries.push_back({.key = &key,
                       .value = found->second,
                       .source = config_source::client_metrics,
                       .synonyms = {{found->first, found->second, config_source::client_metrics}}});
  }
  return entries;
}

}  // namespace millrace::broker
