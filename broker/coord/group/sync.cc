// SyncGroup: the leader hands in the assignment, every member gets its part.
//
//   v5  names protocol type and protocol, which must be the group's (KIP-559)
//
// The leader's request is what commits a generation: from the moment its record is applied the group is
// Stable, and the answers leave when that record is durable.
#include <map>

#include "broker/coord/group/answers.h"
#include "broker/coord/group/group_machine.h"

namespace millrace::broker::coord {
namespace {

bool is_other(const std::optional<std::string_view>& asked, std::string_view actual) {
  return asked.has_value() && *asked != actual;
}

}  // namespace

void group_machine::sync(const protocol::sync_group_request& request, step& s, sync_reply reply) {
  if (request.group_id.empty()) return refuse_sync(s, std::move(reply), errc::invalid_group_id);
  if (consumer_group* consumers = find_consumer(request.group_id)) {
    return sync_consumer(*consumers, request, s, std::move(reply));
  }
  classic_group* g = find(request.group_id);
  if (g == nullptr) return refuse_sync(s, std::move(reply), errc::unknown_member_id);
  if (const errc code = g->check_member(request.member_id, request.group_instance_id); code != errc::none) {
    return refuse_sync(s, std::move(reply), code);
  }
  if (request.generation_id != g->generation())
    return refuse_sync(s, std::move(reply), errc::illegal_generation);
  if (is_other(request.protocol_type, g->protocol_type()) ||
      is_other(request.protocol_name, g->protocol().value_or(""))) {
    return refuse_sync(s, std::move(reply), errc::inconsistent_group_protocol);
  }

  group_member& m = *g->find(request.member_id);
  switch (g->state()) {
    case group_state::empty:
    case group_state::dead:
      return refuse_sync(s, std::move(reply), errc::unknown_member_id);
    case group_state::preparing_rebalance:
      return refuse_sync(s, std::move(reply), errc::rebalance_in_progress);
    case group_state::stable:
      g->unsynced().erase(m.id);
      touch(*g, m, s);
      return s.answer(std::move(reply), assignment_for(*g, m));
    case group_state::completing_rebalance:
      break;
  }

  // The client asked before and gave up waiting.
  if (m.is_syncing()) refuse_sync(s, g->take_sync(m), errc::rebalance_in_progress);
  g->unsynced().erase(m.id);
  g->park_sync(m, std::move(reply));
  if (!g->is_leader(m.id)) return check(*g);

  std::map<std::string_view, bytes_view> assigned;
  for (const auto& a : request.assignments) assigned.insert_or_assign(a.member_id, a.assignment);
  committed_generation next = generation_now(*g, s.now());
  for (auto& [member_id, entry] : next.members) {
    if (const auto found = assigned.find(member_id); found != assigned.end()) {
      entry.assignment.assign(found->second.begin(), found->second.end());
    }
  }
  const record committed = group_record(g->id(), next);
  if (!s.has_room_for(committed)) {
    // Kafka's answer when its log refuses the record as too large.
    cancel_syncs(*g, errc::unknown_server_error, s);
    prepare_rebalance(*g, s);
    return check(*g);
  }
  s.emit(committed);
  g->move_to(group_state::stable);
  for (auto& [member_id, other] : g->members()) {
    if (!other.is_syncing()) continue;
    s.answer(g->take_sync(other), assignment_for(*g, other));
    touch(*g, other, s);
  }
  check(*g);
}

// The group as it is now, ready to be committed; assignments are left empty.
committed_generation group_machine::generation_now(const classic_group& g, instant now) const {
  committed_generation next{.protocol_type = g.protocol_type(),
                            .generation = g.generation(),
                            .protocol = g.protocol(),
                            .state_since_ms = now.wall_ms};
  if (!g.leader().empty()) next.leader = g.leader();
  for (const auto& [member_id, m] : g.members()) {
    const bytes_view subscription = m.metadata_for(g.protocol().value_or(""));
    next.members.emplace(member_id,
                         committed_member{.instance_id = m.instance_id,
                                          .client_id = m.client_id,
                                          .client_host = m.client_host,
                                          .rebalance_timeout_ms = m.rebalance_timeout_ms,
                                          .session_timeout_ms = m.session_timeout_ms,
                                          .subscription = {subscription.begin(), subscription.end()}});
  }
  return next;
}

}  // namespace millrace::broker::coord
