// dynamic: configuration set at run time of everything but topics: this broker, groups, client metrics.
//
// Which broker keys may change without a restart, and for whom, is Kafka's choice as far as the key has a
// meaning here: listeners and security settings cannot. The checks give Kafka's error codes and, where it has
// one, its sentence.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "broker/config/alter.h"
#include "broker/config/settings.h"

namespace millrace::broker {

// Kafka's codes.
enum class resource_type : int8_t {
  topic = 2,
  broker = 4,
  broker_logger = 8,
  client_metrics = 16,
  group = 32
};

// Immutable once shared.
struct dynamic_configs {
  using by_name = std::map<std::string, config_values, std::less<>>;

  config_values cluster;      // of every broker
  config_values this_broker;  // goes before it
  by_name groups;
  by_name client_metrics;
};

bool may_change_at_run_time(std::string_view broker_key);

// Broker values after a change, checked and in plain form. INVALID_REQUEST for keys that need a restart and
// for values that do not fit; INVALID_CONFIG for unknown keys.
result<config_values> altered_broker(const config_values& now, const config_changes& wanted);

// The keys of a group, and its values after a change. INVALID_CONFIG for what is unknown, does not fit or
// lies outside the bounds that the broker sets (group.consumer.min.*, max.*).
std::span<const key_spec> group_keys();
result<config_values> altered_group(const config_values& now, const config_changes& wanted,
                                    const settings& broker);

// The keys of a subscription to metrics of clients (KIP-714), and its values after a change. Subscriptions
// are kept; no client is asked for metrics.
std::span<const key_spec> client_metrics_keys();
result<config_values> altered_client_metrics(const config_values& now, const config_changes& wanted);

}  // namespace millrace::broker
