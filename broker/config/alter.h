// alter: changes to a resource's own configuration (a topic's, the broker's, a group's), as clients ask for
// them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "broker/config/key_spec.h"

namespace millrace::broker {

// What a resource sets itself, as checked text.
using config_values = std::map<std::string, std::string, std::less<>>;

// Kafka's codes.
enum class alter_op : int8_t { set = 0, remove = 1, append = 2, subtract = 3 };

struct config_change {
  std::string name;
  alter_op op = alter_op::set;
  std::optional<std::string> value;  // nothing: only to remove
};

struct config_changes {
  std::vector<config_change> changes;
  // AlterConfigs: what is not named goes back to its default. IncrementalAlterConfigs: it stays.
  bool replaces_all = false;
};

// A change as a request names it, whatever the resource: INVALID_REQUEST for a name twice, a name that is
// empty, an operation that there is not, or no value where one is needed.
result<void> check_form(std::span<const config_change> changes);

// `now` after the changes; what is set is not checked yet. Elements go to and from lists only, and an unset
// list begins as its default: INVALID_CONFIG, in Kafka's words, for any other key, and for values beyond any
// use.
result<config_values> altered(std::span<const key_spec> keys, const config_values& now,
                              const config_changes& wanted);

}  // namespace millrace::broker
