// coord_client: requests of the group APIs in one line each.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/broker/coord_world.h"

namespace millrace::broker::coord::testing {

inline std::vector<std::byte> bytes_from(std::string_view text) {
  const bytes_view view = as_bytes(text);
  return {view.begin(), view.end()};
}

struct join_options {
  std::string group = "g";
  std::string member_id;
  std::optional<std::string> instance_id;
  std::string client_id = "client";
  std::string protocol_type = "consumer";
  std::vector<std::pair<std::string, std::string>> protocols = {{"range", "topics"}};
  int32_t session_timeout_ms = 10'000;
  int32_t rebalance_timeout_ms = 30'000;
  int16_t version = 5;
};

inline mailbox<protocol::join_group_response> join(coord_world& world, const join_options& o) {
  protocol::join_group_request request;
  request.group_id = o.group;
  request.member_id = o.member_id;
  if (o.instance_id) request.group_instance_id = *o.instance_id;
  request.protocol_type = o.protocol_type;
  request.session_timeout_ms = o.session_timeout_ms;
  request.rebalance_timeout_ms = o.rebalance_timeout_ms;
  for (const auto& [name, metadata] : o.protocols) {
    auto& p = request.protocols.emplace_back();
    p.name = name;
    p.metadata = as_bytes(metadata);
  }
  const caller who{o.client_id, "/127.0.0.1", o.version};
  return world.ask<protocol::join_group_response>(
      [&](group_machine& m, step& s, join_reply reply) { m.join(request, who, s, std::move(reply)); });
}

using assignments = std::vector<std::pair<std::string, std::string>>;  // member id -> bytes

inline mailbox<protocol::sync_group_response> sync(coord_world& world, const std::string& group,
                                                   const std::string& member_id, int32_t generation,
                                                   const assignments& given = {},
                                                   const std::optional<std::string>& instance_id = {}) {
  protocol::sync_group_request request;
  request.group_id = group;
  request.member_id = member_id;
  request.generation_id = generation;
  if (instance_id) request.group_instance_id = *instance_id;
  for (const auto& [to, bytes] : given) {
    auto& a = request.assignments.emplace_back();
    a.member_id = to;
    a.assignment = as_bytes(bytes);
  }
  return world.ask<protocol::sync_group_response>(
      [&](group_machine& m, step& s, sync_reply reply) { m.sync(request, s, std::move(reply)); });
}

inline mailbox<protocol::heartbeat_response> heartbeat(coord_world& world, const std::string& group,
                                                       const std::string& member_id, int32_t generation,
                                                       const std::optional<std::string>& instance_id = {}) {
  protocol::heartbeat_request request;
  request.group_id = group;
  request.member_id = member_id;
  request.generation_id = generation;
  if (instance_id) request.group_instance_id = *instance_id;
  return world.ask<protocol::heartbeat_response>(
      [&](group_machine& m, step& s, reply_to<protocol::heartbeat_response> reply) {
        m.heartbeat(request, s, std::move(reply));
      });
}

inline mailbox<protocol::leave_group_response> leave(coord_world& world, const std::string& group,
                                                     const std::string& member_id,
                                                     const std::optional<std::string>& instance_id = {}) {
  protocol::leave_group_request request;
  request.group_id = group;
  auto& entry = request.members.emplace_back();
  entry.member_id = member_id;
  if (instance_id) entry.group_instance_id = *instance_id;
  return world.ask<protocol::leave_group_response>(
      [&](group_machine& m, step& s, reply_to<protocol::leave_group_response> reply) {
        m.leave(request, s, std::move(reply));
      });
}

inline mailbox<commit_result> commit(coord_world& world, const commit_request& request) {
  return world.ask<commit_result>([&](group_machine& m, step& s, reply_to<commit_result> reply) {
    m.commit(request, s, std::move(reply));
  });
}

inline mailbox<commit_result> commit(coord_world& world, const std::string& group,
                                     const std::string& member_id, int32_t generation, int32_t partition,
                                     int64_t offset) {
  return commit(world, {.group = group,
                        .member_id = member_id,
                        .generation = generation,
                        .items = {{.topic = "t", .partition = partition, .offset = offset}}});
}

inline mailbox<fetch_result> fetch(coord_world& world, const fetch_request& request) {
  return world.ask<fetch_result>([&](group_machine& m, step& s, reply_to<fetch_result> reply) {
    m.fetch(request, s, std::move(reply));
  });
}

// The position of partition `partition` of topic "t"; -1 for none.
inline int64_t position(coord_world& world, const std::string& group, int32_t partition) {
  const auto found = fetch(world, {.group = group, .topics = {{{.topic = "t", .partitions = {partition}}}}});
  return found->at(0).partitions.at(0).offset;
}

inline errc code_of(int16_t code) {
  return static_cast<errc>(code);
}

}  // namespace millrace::broker::coord::testing
