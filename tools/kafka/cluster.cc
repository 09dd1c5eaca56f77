#include "tools/kafka/cluster.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "protocol/generated/api_versions_request.h"
#include "protocol/generated/api_versions_response.h"
#include "tools/kafka/errors.h"

namespace millrace::tools {

namespace {

result<std::vector<feature_levels>> features_of(wire& broker) {
  // Version 4 also names features that may be at level 0.
  const int16_t version = broker.can(protocol::api_key::api_versions, 4) ? 4 : 3;
  if (!broker.can(protocol::api_key::api_versions, version)) return std::vector<feature_levels>();
  protocol::api_versions_request request;
  request.client_software_name = "millrace";
  request.client_software_version = "unknown";
  const auto answer = broker.ask<protocol::api_versions_response>(request, version);
  if (!answer) return fail(answer.error());
  if (answer->error_code != 0)
    return fail(broker_error(static_cast<rd_kafka_resp_err_t>(answer->error_code), "ask for features"));
  std::map<std::string, feature_levels> by_name;
  for (const auto& f : answer->supported_features)
    by_name[f.name] = {f.name, f.min_version, f.max_version, 0};
  for (const auto& f : answer->finalized_features) {
    by_name[f.name].name = f.name;
    by_name[f.name].finalized = f.max_version_level;
  }
  std::vector<feature_levels> features;
  for (auto& [name, levels] : by_name) features.push_back(levels);
  return features;
}

}  // namespace

result<cluster_info> describe_cluster(handle& client) {
  auto brokers = broker_addresses(client);
  if (!brokers) return fail(brokers.error());
  cluster_info cluster{.brokers = *std::move(brokers)};
  if (char* id = rd_kafka_clusterid(client.get(), client.timeout_ms()); id != nullptr) {
    cluster.id = id;
    rd_kafka_mem_free(client.get(), id);
  }
  cluster.controller = rd_kafka_controllerid(client.get(), client.timeout_ms());
  auto broker = open_broker(client);
  if (!broker) {
    if (broker.error().code == errc::unsupported_version) return cluster;
    return fail(broker.error());
  }
  auto features = features_of(*broker);
  if (!features) return fail(features.error());
  cluster.features = *std::move(features);
  return cluster;
}

std::string_view name_of(ailment what) {
  return what == ailment::no_leader ? "no_leader" : "under_replicated";
}

std::vector<ailing_partition> ailing_among(const std::vector<topic_info>& topics) {
  std::vector<ailing_partition> found;
  for (const topic_info& topic : topics) {
    for (const partition_info& p : topic.partitions) {
      ailing_partition one{.what = ailment::no_leader, .topic = topic.name, .partition = p.id, .missing = {}};
      std::ranges::copy_if(p.replicas, std::back_inserter(one.missing), [&](int32_t broker) {
        return std::ranges::find(p.in_sync, broker) == p.in_sync.end();
      });
      if (p.leader >= 0) {
        if (one.missing.empty()) continue;
        one.what = ailment::under_replicated;
      }
      found.push_back(std::move(one));
    }
  }
  return found;
}

}  // namespace millrace::tools
