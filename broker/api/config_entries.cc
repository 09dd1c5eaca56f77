#include "broker/api/config_entries.h"

#include "broker/config/tables.h"
#include "broker/config/topic_settings.h"

namespace millrace::broker {
namespace {

config_source source_of(value_source source) {
  return source == value_source::built_in ? config_source::built_in : config_source::static_broker;
}

config_entry describe(const key_spec& key, const config& broker) {
  config_entry entry{.key = &key, .is_read_only = true, .is_sensitive = key.type == value_type::password};
  if (const configured_value* given = broker.given(key.name)) {
    entry.value = given->text;
    entry.source = source_of(given->source);
    entry.synonyms.push_back({std::string(key.name), entry.value, entry.source});
  } else if (key.default_value) {
    entry.value = std::string(*key.default_value);
  }
  if (key.default_value) {
    entry.synonyms.push_back(
        {std::string(key.name), std::string(*key.default_value), config_source::built_in});
  }
  if (entry.is_sensitive) {
    entry.value = std::nullopt;
    for (config_entry::synonym& s : entry.synonyms) s.value = std::nullopt;
  }
  return entry;
}

}  // namespace

std::vector<config_entry> describe_topic_config(const topic_overrides& overrides, const config& broker) {
  std::vector<config_entry> entries;
  for (const key_spec& key : topic_keys()) {
    config_entry entry{.key = &key};
    const topic_default fallback = default_of_topic_key(broker, key);
    if (const auto found = overrides.find(key.name); found != overrides.end()) {
      entry.value = found->second;
      entry.source = config_source::topic;
      entry.synonyms.push_back({std::string(key.name), entry.value, config_source::topic});
    } else {
      entry.value = fallback.text;
      entry.source = source_of(fallback.source);
    }
    const std::string_view fallback_key = key.broker_key.empty() ? key.name : key.broker_key;
    entry.synonyms.push_back({std::string(fallback_key), fallback.text, source_of(fallback.source)});
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

}  // namespace millrace::broker
