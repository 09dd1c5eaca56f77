// 3 Metadata, v0-13.
//
// v0 an empty list means all topics; from v1 null does, and empty means none. v1 controller, racks, internal
// topics; v2 cluster id; v4 creation only on request (before: always); v5 offline replicas; v7 leader epochs;
// v8 operations; v9 flexible; v10 topic ids; v11 cluster operations gone; v12 lookup by id; v13 an error for
// the whole answer.
//
// A topic that is created on the way is ready when the answer leaves, so it is answered as it is; Kafka says
// UNKNOWN_TOPIC_OR_PARTITION the first time. Never created: internal topics, topics asked for by id, all
// topics.
#include <unordered_set>

#include "broker/api/all.h"
#include "broker/api/operations.h"
#include "broker/metadata/topic_registry.h"
#include "broker/shard_context.h"
#include "protocol/generated/metadata_request.h"
#include "protocol/generated/metadata_response.h"
#include "runtime/shards.h"

namespace millrace::broker {
namespace {

using protocol::metadata_request;
using protocol::metadata_response;

metadata_response::metadata_response_topic describe(const request_context& context,
                                                    const metadata_image& image, const topic& t,
                                                    bool with_operations) {
  metadata_response::metadata_response_topic out;
  out.name = t.name;
  out.topic_id = t.id;
  out.is_internal = t.is_internal;
  if (with_operations) out.topic_authorized_operations = topic_operations;
  const int32_t node_id = context.shard.config().node_id;
  out.partitions.resize(static_cast<size_t>(t.partitions));
  for (int32_t p = 0; p < t.partitions; ++p) {
    auto& partition = out.partitions[static_cast<size_t>(p)];
    partition.partition_index = p;
    partition.leader_id = node_id;
    partition.leader_epoch = image.epoch().value();
    partition.replica_nodes = {node_id};
    partition.isr_nodes = {node_id};
  }
  return out;
}

metadata_response::metadata_response_topic refuse(std::optional<std::string_view> name, const uuid& id,
                                                  errc code) {
  metadata_response::metadata_response_topic out;
  out.error_code = kafka_code(code);
  if (name) {
    out.name = std::string(*name);
  } else {
    out.name = std::nullopt;
  }
  out.topic_id = id;
  return out;
}

// Creates those of the named topics that are unknown and may be created.
task<void> create_missing(request_context& context, const metadata_request& request) {
  const image_ptr image = context.shard.image();
  std::vector<new_topic> missing;
  std::unordered_set<std::string_view> seen;
  for (const auto& asked : *request.topics) {
    if (!asked.name || !asked.topic_id.is_zero() || image->find(*asked.name) != nullptr) continue;
    if (is_internal_topic(*asked.name) || !topic_name_fault(*asked.name).empty() ||
        !seen.insert(*asked.name).second)
      continue;
    missing.push_back({.name = std::string(*asked.name),
                       .partitions = context.shard.config().default_partitions,
                       .overrides = {},
                       .placement_seed = {}});
  }
  if (missing.empty()) co_return;
  topic_registry& topics = *context.shard.whole().topics;
  const auto create_there = [&topics, &missing] { return topics.create(std::move(missing), false); };
  // What could not be created is unknown when the answer is made.
  co_await runtime::call_on(shard_id(0), create_there);
}

void describe_named(const request_context& context, const metadata_request& request,
                    metadata_response& response) {
  const image_ptr image = context.shard.image();
  std::unordered_set<const topic*> described;
  std::unordered_set<std::string_view> refused;
  for (const auto& asked : *request.topics) {
    const bool by_id = !asked.topic_id.is_zero() || !asked.name;
    const topic* t = by_id ? image->find(asked.topic_id) : image->find(*asked.name);
    // Naming a topic often does not make the answer longer.
    if (t != nullptr) {
      if (described.insert(t).second) {
        response.topics.push_back(describe(context, *image, *t, request.include_topic_authorized_operations));
      }
    } else if (by_id) {
      response.topics.push_back(refuse(std::nullopt, asked.topic_id, errc::unknown_topic_id));
    } else if (refused.insert(*asked.name).second) {
      const bool is_name = topic_name_fault(*asked.name).empty();
      response.topics.push_back(refuse(
          asked.name, uuid{}, is_name ? errc::unknown_topic_or_partition : errc::invalid_topic_exception));
    }
  }
}

task<result<metadata_response>> handle(request_context& context, metadata_request request) {
  const node& whole = context.shard.whole();
  const int16_t version = context.version();
  const bool is_all = !request.topics || (version == 0 && request.topics->empty());
  const bool may_create =
      context.shard.config().auto_create_topics && (version < 4 || request.allow_auto_topic_creation);
  if (!is_all && may_create) co_await create_missing(context, request);

  metadata_response response;
  response.brokers.push_back({.node_id = whole.config.node_id,
                              .host = context.advertised.host,
                              .port = context.advertised.port,
                              .rack = whole.config.rack});
  response.cluster_id = whole.cluster_id;
  response.controller_id = whole.config.node_id;
  if (request.include_cluster_authorized_operations)
    response.cluster_authorized_operations = cluster_operations;
  if (!is_all) {
    describe_named(context, request, response);
    co_return response;
  }
  const image_ptr image = context.shard.image();
  response.topics.reserve(image->topics().size());
  for (const topic_ptr& t : image->topics()) {
    response.topics.push_back(describe(context, *image, *t, request.include_topic_authorized_operations));
  }
  co_return response;
}

}  // namespace

const api metadata_api = make_api<handle>(0, 13);

}  // namespace millrace::broker
