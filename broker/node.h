// node: what all shards of this broker share.
//
// Filled in by main (or a test) before the first connection, then read by every shard; what changes later
// (topics, configuration set at run time) goes from shard to shard as messages, into their shard_contexts.
// topics, configs and producer_ids live on shard 0 and are called there only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "broker/config/config.h"
#include "broker/config/dynamic.h"
#include "broker/config/listener_address.h"
#include "broker/config/settings.h"

namespace millrace::broker {

class shard_context;
class topic_registry;
class config_registry;
class connection_quota;
class processing;
class producer_ids;

struct node {
  // As of the start; as of now: shard_context.
  config given;
  settings config;
  std::shared_ptr<const dynamic_configs> dynamic = std::make_shared<const dynamic_configs>();
  std::string cluster_id;
  std::vector<listener_address> advertised;  // of settings::listeners, in order, with the ports bound
  std::vector<shard_context*> shards;        // by shard number
  topic_registry* topics = nullptr;
  config_registry* configs = nullptr;
  connection_quota* quota = nullptr;
  producer_ids* producers = nullptr;
  processing* processors = nullptr;

  uint32_t shard_count() const noexcept { return static_cast<uint32_t>(shards.size()); }
};

}  // namespace millrace::broker
