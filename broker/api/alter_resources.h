// alter_resources: what AlterConfigs and IncrementalAlterConfigs have in common: all but the form of their
// requests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "broker/api/api.h"
#include "broker/config/alter.h"

namespace millrace::broker {

struct resource_alteration {
  int8_t type = 0;
  std::string name;
  config_changes changes;
};

// One result a resource, in order; each is changed, or not, for itself.
task<std::vector<result<void>>> alter_resources(request_context& context,
                                                std::vector<resource_alteration> wanted, bool validate_only);

}  // namespace millrace::broker
