// configs: the configuration of topics, brokers and groups, read and changed value by value.
//
// Spoken directly (see wire), as librdkafka 2.0 can only replace a whole configuration. Each call is a few
// requests and blocks until they are answered or the handle's timeout is over.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tools/kafka/handle.h"

namespace millrace::tools {

// Kafka's codes.
enum class resource_type : int8_t { topic = 2, broker = 4, client_metrics = 16, group = 32 };

struct resource {
  resource_type type = resource_type::topic;
  std::string name;  // of a broker its id; empty: what holds for all brokers

  // As parse_resource reads it.
  std::string to_string() const;
};

// "topic:NAME", "group:NAME", "broker:ID", "brokers" (all of them), "client-metrics:NAME".
result<resource> parse_resource(std::string_view text);

struct described_config {
  std::string name;
  std::optional<std::string> value;  // nothing: secret or unset
  std::string source;                // "topic", "broker", "all brokers", "file", "default", "group", ...
  bool is_own = false;               // set on this very resource, at run time
  bool is_read_only = false;
  std::string documentation;  // may be empty
};

// By name. `keys`: only those; empty: all.
result<std::vector<described_config>> describe_configs(handle& client, const resource& of,
                                                       const std::vector<std::string>& keys);

struct config_change {
  enum class kind : int8_t { set = 0, unset = 1, append = 2, subtract = 3 };
  std::string name;
  kind what = kind::set;
  std::string value;  // not to unset
};
result<void> alter_configs(handle& client, const resource& of, const std::vector<config_change>& changes,
                           bool only_check);

// What has a configuration of its own, topics and brokers included.
result<std::vector<resource>> list_resources(handle& client);

// "key=value" -> a change; invalid_argument if it is not of that form.
result<config_change> parse_change(std::string_view option, const std::string& text,
                                   config_change::kind what);

}  // namespace millrace::tools
