// cluster: what a cluster is (its id, its brokers, the features in force), and what is wrong with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tools/kafka/brokers.h"
#include "tools/kafka/topics.h"

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

enum class ailment {
  no_leader,         // nobody can read or write it
  under_replicated,  // a copy lags or is lost
};
std::string_view name_of(ailment what);  // as in JSON
struct ailing_partition {
  ailment what = ailment::no_leader;
  std::string topic;
  int32_t partition = 0;
  std::vector<int32_t> missing;  // brokers whose copies are not in sync
};
// In the topics' order. One without a leader is not told of again for its copies.
std::vector<ailing_partition> ailing_among(const std::vector<topic_info>& topics);

}  // namespace millrace::tools
