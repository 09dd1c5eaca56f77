// The rebalance: everybody comes back, the leader assigns, a new generation begins.
//
//   prepare_rebalance   heartbeats now answer REBALANCE_IN_PROGRESS; JoinGroups are parked
//   complete_join       all are here or time is up: the next generation, all JoinGroups answered
//   SyncGroup           (sync.cc) the leader's assignment commits the generation
//
// A group that was never used waits a little for more members before its first generation, so that ten
// consumers that start together do not cause ten rebalances.
#include <algorithm>

#include "broker/coord/group/answers.h"
#include "broker/coord/group/group_machine.h"

namespace millrace::broker::coord {

void group_machine::rebalance_or_complete(classic_group& g, step& s) {
  if (may_move(g.state(), group_state::preparing_rebalance)) {
    prepare_rebalance(g, s);
  } else {
    complete_if_all_joined(g, s);
  }
}

void group_machine::prepare_rebalance(classic_group& g, step& s) {
  const timer_key join_timer{static_cast<uint8_t>(timer::join), g.id(), {}};
  if (g.is(group_state::completing_rebalance)) cancel_syncs(g, errc::rebalance_in_progress, s);
  s.cancel_timer({static_cast<uint8_t>(timer::sync), g.id(), {}});
  g.unsynced().clear();

  const bool is_first = g.is(group_state::empty);
  g.move_to(group_state::preparing_rebalance);
  if (is_first) {
    const int64_t delay_ms = config_.initial_rebalance_delay_ms;
    g.initial() =
        classic_group::initial_delay{.left_ms = std::max<int64_t>(g.rebalance_timeout_ms() - delay_ms, 0)};
    s.set_timer(join_timer, s.now().steady_ms + delay_ms);
    return;
  }
  s.set_timer(join_timer, s.now().steady_ms + g.rebalance_timeout_ms());
  complete_if_all_joined(g, s);
}

void group_machine::complete_if_all_joined(classic_group& g, step& s) {
  if (!g.is(group_state::preparing_rebalance)) return;
  const bool waits_for_more = g.initial().has_value() && g.generation() == 0;
  if (g.members().empty() || (g.have_all_joined() && !waits_for_more)) complete_join(g, s);
}

void group_machine::on_join_timer(classic_group& g, step& s) {
  if (!g.is(group_state::preparing_rebalance)) return;
  if (auto& initial = g.initial(); initial && initial->has_newcomer && initial->left_ms > 0) {
    const int64_t delay_ms = std::min<int64_t>(config_.initial_rebalance_delay_ms, initial->left_ms);
    initial->has_newcomer = false;
    initial->left_ms -= delay_ms;
    s.set_timer({static_cast<uint8_t>(timer::join), g.id(), {}}, s.now().steady_ms + delay_ms);
    return;
  }
  complete_join(g, s);
}

void group_machine::complete_join(classic_group& g, step& s) {
  const timer_key join_timer{static_cast<uint8_t>(timer::join), g.id(), {}};
  s.cancel_timer(join_timer);

  std::vector<std::string> absent;
  for (const auto& [member_id, m] : g.members()) {
    // A static member may be restarting: it keeps its place until its session ends.
    if (!m.is_joining() && !m.instance_id) absent.push_back(member_id);
  }
  for (const std::string& member_id : absent) drop_member(g, member_id, errc::unknown_member_id, s);

  if (!g.elect_joined_leader() && !g.members().empty()) {
    // Only absent static members are left. Their sessions decide.
    s.set_timer(join_timer, s.now().steady_ms + g.rebalance_timeout_ms());
    return;
  }

  g.next_generation();
  if (g.members().empty()) {
    const record emptied = group_record(g.id(), generation_now(g, s.now()));
    s.emit(emptied);
    return;
  }
  for (auto& [member_id, m] : g.members()) {
    if (m.is_joining()) {
      s.answer(g.take_join(m), generation_for(g, m, g.is_leader(member_id)));
    }
    m.is_new = false;
    g.unsynced().insert(member_id);
    touch(g, m, s);
  }
  s.set_timer({static_cast<uint8_t>(timer::sync), g.id(), {}}, s.now().steady_ms + g.rebalance_timeout_ms());
}

// Who has not asked for its assignment within the rebalance timeout does not take part.
void group_machine::on_sync_timer(classic_group& g, step& s) {
  if (!g.is(group_state::completing_rebalance) && !g.is(group_state::stable)) return;
  if (g.unsynced().empty()) return;
  const std::vector<std::string> late(g.unsynced().begin(), g.unsynced().end());
  for (const std::string& member_id : late) drop_member(g, member_id, errc::unknown_member_id, s);
  prepare_rebalance(g, s);
}

void group_machine::cancel_syncs(classic_group& g, errc code, step& s) {
  for (auto& [member_id, m] : g.members()) {
    if (!m.is_syncing()) continue;
    refuse_sync(s, g.take_sync(m), code);
    touch(g, m, s);
  }
}

void group_machine::drop_member(classic_group& g, const std::string& member_id, errc code, step& s) {
  group_member& m = *g.find(member_id);
  if (m.is_joining()) refuse_join(s, g.take_join(m), code, member_id);
  if (m.is_syncing()) refuse_sync(s, g.take_sync(m), code);
  s.cancel_timer({static_cast<uint8_t>(timer::session), g.id(), member_id});
  g.remove(member_id);
}

}  // namespace millrace::broker::coord
