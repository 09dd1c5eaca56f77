// node: what all shards of this broker share.
//
// Filled in by main (or a test) before the first connection, then read by every shard; what changes later
// (topics) goes from shard to shard as messages. topics and producer_ids live on shard 0 and are called there
// only.
#pragma once

#include <string>
#include <vector>

#include "broker/config/config.h"
#include "broker/config/listener_address.h"
#include "broker/config/settings.h"

namespace millrace::broker {

class shard_context;
class topic_registry;
class processing;
class producer_ids;

struct node {
  config given;
  settings config;
  std::string cluster_id;
  std::vector<listener_address> advertised;  // of settings::listeners, in order, with the ports bound
  std::vector<shard_context*> shards;        // by shard number
  topic_registry* topics = nullptr;
  producer_ids* producers = nullptr;
  processing* processors = nullptr;

  uint32_t shard_count() const noexcept { return static_cast<uint32_t>(shards.size()); }
};

}  // namespace millrace::broker
