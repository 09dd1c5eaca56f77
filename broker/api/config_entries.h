// config_entries: keys and values as DescribeConfigs and CreateTopics show them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/config/config.h"
#include "broker/config/key_spec.h"
#include "broker/metadata/image.h"

namespace millrace::broker {

// Kafka's codes for where a value comes from.
enum class config_source : int8_t {
  topic = 1,
  this_broker = 2,  // set at run time
  cluster = 3,      // the same, for all brokers
  static_broker = 4,
  built_in = 5,
  client_metrics = 7,
  group = 8,
};

struct config_entry {
  struct synonym {
    std::string name;
    std::optional<std::string> value;
    config_source source;
  };
  const key_spec* key = nullptr;
  std::optional<std::string> value;  // nothing for secrets
  config_source source = config_source::built_in;
  bool is_read_only = false;
  bool is_sensitive = false;
  std::vector<synonym> synonyms;  // this value first, then what it would be without it
};

// All keys of a topic, by name.
std::vector<config_entry> describe_topic_config(const topic_overrides& overrides, const config& broker);
// All keys of the broker.
std::vector<config_entry> describe_broker_config(const config& broker);
// What was set at run time for all brokers.
std::vector<config_entry> describe_cluster_config(const config_values& cluster);
// All keys of a group. `own`: what it sets itself.
std::vector<config_entry> describe_group_config(const config_values& own, const config& broker);
// What a subscription to metrics sets.
std::vector<config_entry> describe_client_metrics_config(const config_values& own);

}  // namespace millrace::broker
