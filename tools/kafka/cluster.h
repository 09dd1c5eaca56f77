// cluster: what a cluster is: its id, its brokers, the features in force.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "tools/kafka/brokers.h"

namespace millrace::tools {

struct feature_levels {
  std::string name;
  int16_t min = 0;  // supported
  int16_t max = 0;
  int16_t finalized = 0;  // in force; 0: switched off
};

struct cluster_info {
  std::string id;
  int32_t controller = -1;  // -1: the cluster does not tell
  std::vector<broker_address> brokers;
  std::optional<std::vector<feature_levels>>
      features;  // by name; nothing: they cannot be asked for (TLS, SASL)
};

result<cluster_info> describe_cluster(handle& client);

}  // namespace millrace::tools
