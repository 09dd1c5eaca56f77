// config: the broker's configuration as given, key by key, and where each value came from.
//
// Values are kept as checked text. What the broker runs by is `settings` (settings.h), read out of it;
// this form serves error messages and DescribeConfigs. What clients set at run time lies in layers of its own
// above what was given at the start.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "broker/config/alter.h"

namespace millrace::broker {

// Later ones win.
enum class value_source {
  built_in,
  file,
  environment,
  command_line,
  cluster,      // set at run time, for every broker (there is one)
  this_broker,  // set at run time, for this one
};

struct configured_value {
  std::string text;
  value_source source = value_source::built_in;
  std::string where;  // "millrace.toml:12", "MILLRACE_SHARDS", "--set shards=2"
};

// One [[processor]] table. What it means is the processors' business.
struct processor_entry {
  std::string name;
  std::string library;
  std::string input;
  std::vector<std::pair<std::string, std::string>> inputs;        // of several: input name -> topic
  std::vector<std::pair<std::string, std::string>> outputs;       // output name -> topic
  std::vector<std::pair<std::string, std::string>> partition_by;  // output name -> how, where it is said
  std::vector<std::pair<std::string, std::string>> settings;
  // Empty where not given.
  std::string on_error;
  std::string dead_letter;
  std::string retries;
  std::string retry_backoff_ms;
  std::string state_bytes_max;
  std::string outbox_bytes_max;
  std::string external_writes;
  std::string start;
  std::string compression;
  std::string isolation;
  std::string process_bytes_max;
  std::string where;
};

class config {
 public:
  // Takes a value for a key; checks name, type, range and whether the thing asked for is there. The error is
  // a whole sentence that begins with `where` and names the nearest key if the key is unknown.
  result<void> set(std::string_view key, std::string_view value, value_source source, std::string where);

  // Replaces all that was set at run time, for every broker or for this one. The values were checked
  // (dynamic.h).
  void set_at_run_time(const config_values& cluster, const config_values& this_broker);

  // The value given, if one was.
  const configured_value* given(std::string_view key) const;
  // The same, of all layers, that which counts first.
  std::vector<const configured_value*> all_given(std::string_view key) const;
  // The value given or the key's default; nothing if unset. Requires: the key is in a table.
  std::optional<std::string_view> text(std::string_view key) const;
  // As text(), for keys that have a default. Requires: so.
  std::string_view required(std::string_view key) const;
  bool boolean(std::string_view key) const;
  int64_t integer(std::string_view key) const;

  // Known Kafka keys that were given and have no effect.
  std::vector<std::string_view> idle_keys_given() const;

  std::vector<processor_entry> processors;

 private:
  using layer = std::map<std::string, configured_value, std::less<>>;
  layer values_;  // at the start
  layer cluster_;
  layer this_broker_;
};

}  // namespace millrace::broker
