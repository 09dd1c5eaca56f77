// JoinGroup: a member enters, or comes back for the next generation.
//
//   v4  a new dynamic member is first given an id (MEMBER_ID_REQUIRED) and joins with it, so that clients
//       that time out and retry do not leave members behind that never existed (KIP-394)
//   v5  static members: a known instance id replaces the member that bears it (KIP-345)
//   v9  a static leader that comes back unchanged is told not to assign anew (KIP-814)
#include <algorithm>
#include <fmt/format.h>

#include "broker/coord/group/answers.h"
#include "broker/coord/group/group_machine.h"
#include "broker/coord/group/ids.h"

namespace millrace::broker::coord {
namespace {

constexpr int16_t first_version_with_known_ids = 4;
constexpr int16_t first_version_with_skip_assignment = 9;

std::vector<member_protocol> protocols_of(const protocol::join_group_request& request) {
  std::vector<member_protocol> protocols;
  protocols.reserve(request.protocols.size());
  for (const auto& p : request.protocols) {
    protocols.push_back({std::string(p.name), {p.metadata.begin(), p.metadata.end()}});
  }
  return protocols;
}

size_t bytes_of(const std::vector<member_protocol>& protocols) {
  size_t bytes = 0;
  for (const member_protocol& p : protocols) bytes += p.name.size() + p.metadata.size();
  return bytes;
}

bool has_long_names(const protocol::join_group_request& request) {
  const auto is_long = [](std::string_view name) { return name.size() > id_bytes_max; };
  if (is_long(request.protocol_type) || (request.group_instance_id && is_long(*request.group_instance_id)))
    return true;
  return std::ranges::any_of(request.protocols, [&](const auto& p) { return is_long(p.name); });
}

// Java's form of a UUID, which some tools expect at the end of a member id.
std::string dashed(const uuid& id) {
  std::string text;
  for (size_t i = 0; i < id.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned>(id.bytes[i]));
  }
  return text;
}

}  // namespace

void group_machine::join(const protocol::join_group_request& request, const caller& who, step& s,
                         join_reply reply) {
  if (request.group_id.empty() || request.group_id.size() > id_bytes_max) {
    return refuse_join(s, std::move(reply), errc::invalid_group_id, request.member_id);
  }
  if (request.session_timeout_ms < config_.session_timeout_min_ms ||
      request.session_timeout_ms > config_.session_timeout_max_ms) {
    return refuse_join(s, std::move(reply), errc::invalid_session_timeout, request.member_id);
  }

  if (consumer_group* consumers = find_consumer(request.group_id)) {
    if (!consumers->members().empty()) return join_consumer(*consumers, request, who, s, std::move(reply));
    if (!request.member_id.empty()) {
      return refuse_join(s, std::move(reply), errc::unknown_member_id, request.member_id);
    }
    empty_to_classic(*consumers, s);
  }
  classic_group* g = find(request.group_id);
  if (g == nullptr) {
    if (!request.member_id.empty())
      return refuse_join(s, std::move(reply), errc::unknown_member_id, request.member_id);
    if (request.protocol_type.empty() || request.protocols.empty() || has_long_names(request)) {
      return refuse_join(s, std::move(reply), errc::inconsistent_group_protocol, "");
    }
    const record created =
        group_record(request.group_id, committed_generation{.state_since_ms = s.now().wall_ms});
    s.emit(created);
    g = find(request.group_id);
  }

  if (!accepts(*g, request.member_id)) {
    if (group_member* m = g->find(request.member_id); m != nullptr) {
      drop_member(*g, std::string(request.member_id), errc::group_max_size_reached, s);
      complete_if_all_joined(*g, s);
    }
    return refuse_join(s, std::move(reply), errc::group_max_size_reached, "");
  }

  std::vector<member_protocol> protocols = protocols_of(request);
  if (has_long_names(request) || !g->supports(request.protocol_type, protocols)) {
    return refuse_join(s, std::move(reply), errc::inconsistent_group_protocol, request.member_id);
  }
  // The leader's answer and the group's record must be able to carry all of it, and assignments as well.
  if (!s.has_room(2 * (g->metadata_bytes() + bytes_of(protocols)))) {
    return refuse_join(s, std::move(reply), errc::group_max_size_reached, request.member_id);
  }

  if (!request.member_id.empty() && !g->pending().contains(request.member_id)) {
    join_known(*g, request, std::move(protocols), s, std::move(reply));
  } else {
    group_member fresh{.id = std::string(request.member_id),
                       .client_id = who.client_id,
                       .client_host = who.client_host,
                       .rebalance_timeout_ms = request.rebalance_timeout_ms >= 0
                                                   ? request.rebalance_timeout_ms
                                                   : request.session_timeout_ms,
                       .session_timeout_ms = request.session_timeout_ms,
                       .protocols = std::move(protocols)};
    if (request.group_instance_id) fresh.instance_id = std::string(*request.group_instance_id);
    join_new(*g, std::move(fresh), request, who, s, std::move(reply));
  }
  complete_if_all_joined(*g, s);
  check(*g);
}

// An existing member is always welcome; others as long as there is room.
bool group_machine::accepts(const classic_group& g, std::string_view member_id) const {
  const auto limit = static_cast<size_t>(config_.members_max);
  const auto found = g.members().find(member_id);
  switch (g.state()) {
    case group_state::empty:
    case group_state::dead:
      return true;
    case group_state::preparing_rebalance:
      // Members that do not come back will be dropped, so those who wait are what counts.
      return (found != g.members().end() && found->second.is_joining()) || g.joining() < limit;
    case group_state::completing_rebalance:
    case group_state::stable:
      return found != g.members().end() || g.members().size() < limit;
  }
  return false;
}

void group_machine::join_new(classic_group& g, group_member m, const protocol::join_group_request& request,
                             const caller& who, step& s, join_reply reply) {
  const bool has_given_id = g.pending().contains(m.id);
  if (has_given_id) {
    if (m.instance_id) return refuse_join(s, std::move(reply), errc::unknown_member_id, request.member_id);
    g.pending().erase(m.id);
    return add_and_rebalance(g, std::move(m), request, s, std::move(reply));
  }

  m.id = fmt::format("{}-{}", m.instance_id.value_or(who.client_id.substr(0, id_bytes_max)),
                     dashed(make_uuid_()));
  if (m.instance_id) {
    if (const std::string* holder = g.static_member(*m.instance_id); holder != nullptr) {
      const std::string old_id = *holder;
      return replace_static(g, old_id, std::move(m), who, s, std::move(reply));
    }
  } else if (who.version >= first_version_with_known_ids) {
    g.pending().insert(m.id);
    s.set_timer({static_cast<uint8_t>(timer::session), g.id(), m.id},
                s.now().steady_ms + m.session_timeout_ms);
    return refuse_join(s, std::move(reply), errc::member_id_required, m.id);
  }
  add_and_rebalance(g, std::move(m), request, s, std::move(reply));
}

void group_machine::join_known(classic_group& g, const protocol::join_group_request& request,
                               std::vector<member_protocol> protocols, step& s, join_reply reply) {
  if (const errc code = g.check_member(request.member_id, request.group_instance_id); code != errc::none) {
    return refuse_join(s, std::move(reply), code, request.member_id);
  }
  group_member& m = *g.find(request.member_id);
  const bool is_unchanged = m.protocols == protocols;
  switch (g.state()) {
    case group_state::preparing_rebalance:
      return update_and_rebalance(g, m, std::move(protocols), request, s, std::move(reply));
    case group_state::completing_rebalance:
      if (!is_unchanged)
        return update_and_rebalance(g, m, std::move(protocols), request, s, std::move(reply));
      // The answer to its first JoinGroup was lost: tell it again.
      return s.answer(std::move(reply), generation_for(g, m, g.is_leader(m.id)));
    case group_state::stable:
      // A leader that joins wants a new assignment (topics have changed); a follower whose protocols are
      // the same was only asked to come back and may stay as it is.
      if (g.is_leader(m.id) || !is_unchanged) {
        return update_and_rebalance(g, m, std::move(protocols), request, s, std::move(reply));
      }
      touch(g, m, s);
      return s.answer(std::move(reply), generation_for(g, m, false));
    case group_state::empty:
    case group_state::dead:
      break;
  }
  refuse_join(s, std::move(reply), errc::unknown_member_id, request.member_id);
}

void group_machine::add_and_rebalance(classic_group& g, group_member fresh,
                                      const protocol::join_group_request& request, step& s,
                                      join_reply reply) {
  if (g.initial() && g.is(group_state::preparing_rebalance)) g.initial()->has_newcomer = true;
  group_member& m = g.add(std::move(fresh), request.protocol_type);
  g.park_join(m, std::move(reply));
  touch(g, m, group_config::new_member_join_ms_max, s);
  rebalance_or_complete(g, s);
}

void group_machine::update_and_rebalance(classic_group& g, group_member& m,
                                         std::vector<member_protocol> protocols,
                                         const protocol::join_group_request& request, step& s,
                                         join_reply reply) {
  g.set_protocols(m, std::move(protocols));
  m.session_timeout_ms = request.session_timeout_ms;
  m.rebalance_timeout_ms =
      request.rebalance_timeout_ms >= 0 ? request.rebalance_timeout_ms : request.session_timeout_ms;
  // The client gave up on an earlier JoinGroup and asks again: whoever still waits for that one is told to
  // retry.
  if (m.is_joining()) refuse_join(s, g.take_join(m), errc::rebalance_in_progress, m.id);
  g.park_join(m, std::move(reply));
  rebalance_or_complete(g, s);
}

// A static member has restarted: it takes over the place of its former self.
void group_machine::replace_static(classic_group& g, const std::string& old_id, group_member fresh,
                                   const caller& who, step& s, join_reply reply) {
  group_member& old = *g.find(old_id);
  if (old.is_joining()) refuse_join(s, g.take_join(old), errc::fenced_instance_id, old_id);
  if (old.is_syncing()) refuse_sync(s, g.take_sync(old), errc::fenced_instance_id);
  s.cancel_timer({static_cast<uint8_t>(timer::session), g.id(), old_id});

  const std::string old_leader = g.leader();
  group_member& m = g.rename(old_id, fresh.id);
  m.client_id = std::move(fresh.client_id);
  m.client_host = std::move(fresh.client_host);
  m.session_timeout_ms = fresh.session_timeout_ms;
  m.rebalance_timeout_ms = fresh.rebalance_timeout_ms;
  g.set_protocols(m, std::move(fresh.protocols));

  if (g.is(group_state::stable) && g.protocol() == g.select_protocol()) {
    // The members stay who they are and so do their assignments: only the name in the record changes.
    committed_generation renamed = generation_now(g, s.now());
    for (auto& [member_id, entry] : renamed.members) {
      const auto was = g.committed().members.find(member_id == m.id ? old_id : member_id);
      if (was != g.committed().members.end()) entry.assignment = was->second.assignment;
    }
    const record changed = group_record(g.id(), renamed);
    if (s.has_room_for(changed)) {
      s.emit(changed);
      touch(g, m, s);
      const bool may_skip = who.version >= first_version_with_skip_assignment;
      protocol::join_group_response response = generation_for(g, m, may_skip && g.is_leader(m.id));
      if (may_skip) {
        response.skip_assignment = g.is_leader(m.id);
      } else {
        // Told its old name as the leader's, it takes itself for a follower and hands in no assignment.
        response.leader = old_leader;
      }
      return s.answer(std::move(reply), std::move(response));
    }
  }
  touch(g, m, s);
  g.park_join(m, std::move(reply));
  rebalance_or_complete(g, s);
}

}  // namespace millrace::broker::coord
