// coord_consumer_client: requests of the consumer protocol in one line each.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "broker/coord/group/subscription.h"
#include "protocol/generated/consumer_protocol_subscription.h"
#include "tests/broker/coord_client.h"

namespace millrace::broker::coord::testing {

using owned_list = std::vector<std::pair<std::string, std::vector<int32_t>>>;  // topic -> partitions

struct beat_options {
  std::string group = "g";
  std::string member_id = "m1";
  int32_t epoch = 0;
  std::optional<std::string> instance_id;
  std::optional<std::string> rack_id;
  int32_t rebalance_timeout_ms = -1;
  std::optional<std::vector<std::string>> topics;
  std::optional<std::string> regex;
  std::optional<std::string> assignor;
  std::optional<owned_list> owned;
  int16_t version = 1;
};

using beat_mailbox = mailbox<protocol::consumer_group_heartbeat_response>;

inline beat_mailbox beat(coord_world& world, const beat_options& o) {
  protocol::consumer_group_heartbeat_request request;
  request.group_id = o.group;
  request.member_id = o.member_id;
  request.member_epoch = o.epoch;
  if (o.instance_id) request.instance_id = *o.instance_id;
  if (o.rack_id) request.rack_id = *o.rack_id;
  request.rebalance_timeout_ms = o.rebalance_timeout_ms;
  if (o.topics) request.subscribed_topic_names.emplace(o.topics->begin(), o.topics->end());
  if (o.regex) request.subscribed_topic_regex = *o.regex;
  if (o.assignor) request.server_assignor = *o.assignor;
  if (o.owned) {
    request.topic_partitions.emplace();
    for (const auto& [topic, partitions] : *o.owned) {
      auto& entry = request.topic_partitions->emplace_back();
      entry.topic_id = world.topics.id(topic);
      entry.partitions = partitions;
    }
  }
  const caller who{"client", "/127.0.0.1", o.version};
  return world.ask<protocol::consumer_group_heartbeat_response>(
      [&](group_machine& m, step& s, reply_to<protocol::consumer_group_heartbeat_response> reply) {
        m.consumer_heartbeat(request, who, s, std::move(reply));
      });
}

// The first heartbeat, as clients send it.
inline beat_mailbox enter(coord_world& world, const std::string& member_id,
                          const std::vector<std::string>& topics = {"t"},
                          const std::optional<std::string>& instance_id = {}) {
  return beat(world, {.member_id = member_id,
                      .instance_id = instance_id,
                      .rebalance_timeout_ms = 30'000,
                      .topics = topics,
                      .owned = owned_list{}});
}

// "t: 0 1, u: 3"; "none" without an assignment, "" for an empty one.
inline std::string assigned(const coord_world& world, const protocol::consumer_group_heartbeat_response& r) {
  if (!r.assignment) return "none";
  std::map<std::string, std::string> lines;
  for (const auto& t : r.assignment->topic_partitions) {
    std::string& line = lines[world.topics.find(t.topic_id)->name];
    for (const int32_t p : t.partitions) line += " " + std::to_string(p);
  }
  std::string out;
  for (const auto& [topic, line] : lines) out += (out.empty() ? "" : ", ") + topic + ":" + line;
  return out;
}

// The embedded metadata of a classic consumer.
inline std::string subscription_bytes(const std::vector<std::string>& topics, const owned_list& owned = {},
                                      int16_t version = 1) {
  protocol::consumer_protocol_subscription s;
  s.topics = topics;
  for (const auto& [topic, partitions] : owned) {
    auto& entry = s.owned_partitions.emplace_back();
    entry.topic = topic;
    entry.partitions = partitions;
  }
  return std::string(as_text(protocol::encode_with_prefix(s, version, version).view()));
}

inline std::string assignment_bytes(const coord_world& world, const owned_list& partitions) {
  topic_partitions set;
  for (const auto& [topic, list] : partitions) add_sorted(set, world.topics.id(topic), list);
  const auto bytes = make_assignment(set, 1, world.topics);
  return std::string(as_text(bytes));
}

}  // namespace millrace::broker::coord::testing
