// Classic members of a consumer group: the four requests of their protocol, translated.
//
// A member's epoch is its generation. Nobody leads: every JoinGroup is answered at once and as to a follower,
// and SyncGroup gives what the coordinator assigned. A member that has something to do (a newer target,
// partitions to give up, partitions that became free) is told REBALANCE_IN_PROGRESS by its heartbeat and
// joins again; what it brings as owned is how it says what it has given up.
#include <algorithm>
#include <fmt/format.h>

#include "broker/coord/group/answers.h"
#include "broker/coord/group/group_machine.h"
#include "broker/coord/group/ids.h"
#include "broker/coord/group/subscription.h"

namespace millrace::broker::coord {
namespace {

constexpr int16_t first_version_with_known_ids = 4;
constexpr size_t fixed_bytes_of_join = 64 * 1024;  // ids, at their longest, and what surrounds them

classic_side classic_side_of(const protocol::join_group_request& request) {
  classic_side side{.session_timeout_ms = request.session_timeout_ms};
  for (const auto& p : request.protocols) {
    side.protocols.push_back({std::string(p.name), {p.metadata.begin(), p.metadata.end()}});
  }
  return side;
}

// Whether all classic members, with this one, share a protocol.
bool supports(const consumer_group& g, std::string_view member_id,
              const protocol::join_group_request& request) {
  if (request.protocol_type != consumer_protocol_type || request.protocols.empty()) return false;
  return std::ranges::any_of(request.protocols, [&](const auto& offered) {
    return std::ranges::all_of(g.members(), [&](const auto& other) {
      const consumer_member& m = other.second;
      if (!m.is_classic() || m.id == member_id) return true;
      return std::ranges::any_of(m.subscription.classic->protocols,
                                 [&](const member_protocol& p) { return p.name == offered.name; });
    });
  });
}

bool waits_for_others(const consumer_group& g, const consumer_member& m) {
  for (const auto& [topic, partitions] : without(g.target_of(m.id), m.current.assigned)) {
    for (const int32_t p : partitions) {
      if (g.is_free_for(m, topic, p)) return false;
    }
  }
  return true;
}

}  // namespace

void group_machine::join_consumer(consumer_group& g, const protocol::join_group_request& request,
                                  const caller& who, step& s, join_reply reply) {
  const auto refuse = [&](errc code, std::string_view member_id) {
    refuse_join(s, std::move(reply), code, member_id);
  };
  const bool has_no_id = request.member_id.empty();
  const std::string client_id = who.client_id.substr(0, id_bytes_max / 2);
  std::string member_id =
      has_no_id ? fmt::format("{}-{}", client_id, make_uuid_().to_string()) : std::string(request.member_id);
  const auto instance_id = request.group_instance_id;
  if (member_id.size() > id_bytes_max || (instance_id && instance_id->size() > id_bytes_max)) {
    return refuse(errc::invalid_group_id, request.member_id);
  }
  const bool is_full = g.members().size() >= static_cast<size_t>(config_.consumer_members_max);
  if (is_full && g.find(member_id) == nullptr) return refuse(errc::group_max_size_reached, "");
  if (!supports(g, member_id, request)) return refuse(errc::inconsistent_group_protocol, request.member_id);
  if (has_no_id && !instance_id && who.version >= first_version_with_known_ids) {
    return refuse(errc::member_id_required, member_id);
  }
  const auto said = parse_subscription(request.protocols.front().metadata, topics_);
  if (!said) return refuse(errc::inconsistent_group_protocol, request.member_id);
  // One that was dropped and has not noticed: what it still reads is somebody else's.
  if (!instance_id && !said->owned.empty() && g.find(member_id) == nullptr) {
    return refuse(errc::unknown_member_id, request.member_id);
  }
  size_t bytes = fixed_bytes_of_join;
  for (const auto& p : request.protocols) bytes += p.name.size() + p.metadata.size() + 16;
  if (!s.has_room(4 * bytes)) return refuse(errc::group_max_size_reached, request.member_id);

  const consumer_member* holder = instance_id ? g.static_member(*instance_id) : nullptr;
  if (instance_id && !has_no_id) {
    if (holder == nullptr) return refuse(errc::unknown_member_id, request.member_id);
    if (holder->id != member_id) return refuse(errc::fenced_instance_id, request.member_id);
  }
  if (holder != nullptr && holder->id != member_id) {
    if (!holder->is_classic() && !holder->is_away())
      return refuse(errc::unreleased_instance_id, request.member_id);
    if (!has_room_to_take_over(g, *holder, s)) return refuse(errc::group_max_size_reached, request.member_id);
    const int32_t epoch = holder->is_away() ? holder->current.previous_epoch : holder->current.epoch;
    take_over(g, std::string(holder->id), member_id, epoch, s);
  }

  const consumer_member* known = g.find(member_id);
  consumer_subscription wanted = known != nullptr ? known->subscription : consumer_subscription{};
  if (instance_id) wanted.instance_id = std::string(*instance_id);
  if (said->rack_id) wanted.rack_id = said->rack_id;
  wanted.client_id = who.client_id;
  wanted.client_host = who.client_host;
  wanted.topics = said->topics;
  wanted.pattern.clear();
  wanted.assignor.reset();
  wanted.rebalance_timeout_ms =
      request.rebalance_timeout_ms >= 0 ? request.rebalance_timeout_ms : request.session_timeout_ms;
  wanted.classic = classic_side_of(request);
  refresh(g, member_id, wanted, &said->owned, s);

  consumer_member& m = *g.find(member_id);
  protocol::join_group_response response;
  response.member_id = member_id;
  response.generation_id = m.current.epoch;
  response.protocol_type = std::string(consumer_protocol_type);
  response.protocol_name = std::string(request.protocols.front().name);
  m.awaits_join = false;
  s.cancel_timer({static_cast<uint8_t>(timer::join), g.id(), member_id});
  // The last member of the consumer protocol has come back as a classic one.
  if (may_downgrade(g, {}, s)) {
    classic_group& classic = downgrade(g, s);
    prepare_rebalance(classic, s);
    classic.park_join(*classic.find(member_id), std::move(reply));
    complete_if_all_joined(classic, s);
    return check(classic);
  }
  touch(g, m, s);
  m.awaits_sync = true;
  s.set_timer({static_cast<uint8_t>(timer::sync), g.id(), member_id},
              s.now().steady_ms + wanted.rebalance_timeout_ms);
  s.answer(std::move(reply), std::move(response));
  MR_DCHECK(g.is_consistent());
}

errc group_machine::check_classic_member(consumer_group& g, std::string_view member_id,
                                         std::optional<std::string_view> instance_id) {
  if (instance_id) {
    const consumer_member* holder = g.static_member(*instance_id);
    if (holder == nullptr) return errc::unknown_member_id;
    if (holder->id != member_id) return errc::fenced_instance_id;
  }
  const consumer_member* m = g.find(member_id);
  return m != nullptr && m->is_classic() ? errc::none : errc::unknown_member_id;
}

void group_machine::sync_consumer(consumer_group& g, const protocol::sync_group_request& request, step& s,
                                  sync_reply reply) {
  if (const errc code = check_classic_member(g, request.member_id, request.group_instance_id);
      code != errc::none) {
    return refuse_sync(s, std::move(reply), code);
  }
  consumer_member& m = *g.find(request.member_id);
  const auto& protocols = m.subscription.classic->protocols;
  const bool has_protocol =
      !request.protocol_name || std::ranges::any_of(protocols, [&](const member_protocol& p) {
        return p.name == *request.protocol_name;
      });
  if ((request.protocol_type && *request.protocol_type != consumer_protocol_type) || !has_protocol) {
    return refuse_sync(s, std::move(reply), errc::inconsistent_group_protocol);
  }
  if (request.generation_id != m.current.epoch) {
    return refuse_sync(s, std::move(reply), errc::illegal_generation);
  }
  m.awaits_sync = false;
  s.cancel_timer({static_cast<uint8_t>(timer::sync), g.id(), m.id});
  touch(g, m, s);
  const auto said = parse_subscription(protocols.front().metadata, topics_);
  protocol::sync_group_response response;
  response.protocol_type = std::string(consumer_protocol_type);
  response.protocol_name = protocols.front().name;
  response.assignment = make_assignment(m.current.assigned, said ? said->version : int16_t{0}, topics_);
  s.answer(std::move(reply), std::move(response));
}

errc group_machine::heartbeat_consumer(consumer_group& g, const protocol::heartbeat_request& request,
                                       step& s) {
  if (const errc code = check_classic_member(g, request.member_id, request.group_instance_id);
      code != errc::none) {
    return code;
  }
  consumer_member& m = *g.find(request.member_id);
  if (request.generation_id != m.current.epoch) return errc::illegal_generation;
  touch(g, m, s);
  const bool should_join = m.current.epoch < g.epoch() || m.current.state == member_state::unrevoked ||
                           (m.current.state == member_state::unreleased && !waits_for_others(g, m)) ||
                           (g.is_stale && topics_hash(g) != g.topics_hash());
  if (!should_join) return errc::none;
  if (!m.awaits_join) {
    m.awaits_join = true;
    s.set_timer({static_cast<uint8_t>(timer::join), g.id(), m.id},
                s.now().steady_ms + m.subscription.rebalance_timeout_ms);
  }
  return errc::rebalance_in_progress;
}

void group_machine::leave_consumer_group(consumer_group& g, const protocol::leave_group_request& request,
                                         protocol::leave_group_response& response, step& s) {
  std::vector<std::string> gone;
  for (const auto& leaving : request.members) {
    std::string member_id(leaving.member_id);
    errc code = errc::none;
    if (member_id.empty() && leaving.group_instance_id) {
      // An administrator removes a static member, of whichever protocol.
      const consumer_member* holder = g.static_member(*leaving.group_instance_id);
      code = holder == nullptr ? errc::unknown_member_id : errc::none;
      if (holder != nullptr) member_id = holder->id;
    } else {
      code = check_classic_member(g, member_id, leaving.group_instance_id);
    }
    if (code == errc::none && std::ranges::find(gone, member_id) != gone.end())
      code = errc::unknown_member_id;
    const size_t tombstones = 4 * (gone.size() + 1) * (member_tombstone(g.id(), member_id).bytes_max() + 64);
    if (code == errc::none && !s.has_room(tombstones)) code = errc::coordinator_not_available;
    if (code == errc::none) gone.push_back(member_id);
    auto& entry = response.members.emplace_back();
    entry.member_id = leaving.member_id;
    if (leaving.group_instance_id) entry.group_instance_id = std::string(*leaving.group_instance_id);
    entry.error_code = kafka_code(code);
  }
  if (!gone.empty()) remove_members(g, gone, s);
}

}  // namespace millrace::broker::coord
