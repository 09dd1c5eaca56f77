// answers: the responses that several handlers build alike.
#pragma once

#include <string_view>

#include "broker/coord/group/classic_group.h"
#include "broker/coord/machine.h"
#include "protocol/generated/join_group_response.h"
#include "protocol/generated/sync_group_response.h"

namespace millrace::broker::coord {

inline void refuse_join(step& s, join_reply&& reply, errc code, std::string_view member_id) {
  protocol::join_group_response response;
  response.error_code = kafka_code(code);
  response.member_id = member_id;
  response.protocol_name = "";  // null is for versions from 7 on only, and nobody tells them apart
  s.answer(std::move(reply), std::move(response));
}

// The current generation, as its member `m` is told of it. Only the leader learns who the others are.
inline protocol::join_group_response generation_for(const classic_group& g, const group_member& m,
                                                    bool with_members) {
  protocol::join_group_response response;
  response.generation_id = g.generation();
  response.protocol_type = g.protocol_type();
  response.protocol_name = g.protocol().value_or("");
  response.leader = g.leader();
  response.member_id = m.id;
  if (with_members) {
    for (const auto& [member_id, other] : g.members()) {
      auto& entry = response.members.emplace_back();
      entry.member_id = member_id;
      entry.group_instance_id = other.instance_id;
      const bytes_view metadata = other.metadata_for(response.protocol_name.value());
      entry.metadata.assign(metadata.begin(), metadata.end());
    }
  }
  return response;
}

inline void refuse_sync(step& s, sync_reply&& reply, errc code) {
  protocol::sync_group_response response;
  response.error_code = kafka_code(code);
  s.answer(std::move(reply), std::move(response));
}

// What the leader assigned to `m` in this generation.
inline protocol::sync_group_response assignment_for(const classic_group& g, const group_member& m) {
  protocol::sync_group_response response;
  response.protocol_type = g.protocol_type();
  response.protocol_name = g.protocol();
  if (const auto found = g.committed().members.find(m.id); found != g.committed().members.end()) {
    response.assignment = found->second.assignment;
  }
  return response;
}

}  // namespace millrace::broker::coord
