// Sessions: who has not been heard of for its session timeout is out.
//
// A heartbeat only moves a number: the timer that is armed goes off at the old time, finds that the
// session has been prolonged, and is armed again. So a member costs one timer operation a session
// timeout, not one a heartbeat.
#include "broker/coord/group/group_machine.h"

namespace millrace::broker::coord {

template <class Member>
void group_machine::touch(const std::string& group_id, Member& m, int64_t for_ms, step& s) {
  m.session_ends_ms = s.now().steady_ms + for_ms;
  if (m.session_timer_ms && *m.session_timer_ms <= m.session_ends_ms) return;
  m.session_timer_ms = m.session_ends_ms;
  s.set_timer({static_cast<uint8_t>(timer::session), group_id, m.id}, m.session_ends_ms);
}

void group_machine::touch(classic_group& g, group_member& m, int64_t for_ms, step& s) {
  touch(g.id(), m, for_ms, s);
}

void group_machine::touch(consumer_group& g, consumer_member& m, step& s) {
  const auto& classic = m.subscription.classic;
  touch(g.id(), m, classic ? classic->session_timeout_ms : config_.session_timeout_ms_of(g.id()), s);
}

void group_machine::on_session_timer(classic_group& g, const std::string& member_id, step& s) {
  if (g.pending().erase(member_id) > 0) return complete_if_all_joined(g, s);
  group_member* m = g.find(member_id);
  if (m == nullptr) return;
  m->session_timer_ms.reset();
  if (m->session_ends_ms > s.now().steady_ms) {
    m->session_timer_ms = m->session_ends_ms;
    return s.set_timer({static_cast<uint8_t>(timer::session), g.id(), member_id}, m->session_ends_ms);
  }
  // While its JoinGroup or SyncGroup is parked a member cannot send heartbeats: its connection is busy
  // with that request. The answer starts the session anew. New members are the exception (config.h).
  if (!m->is_new && (m->is_joining() || m->is_syncing())) return;

  drop_member(g, member_id, errc::unknown_member_id, s);
  rebalance_or_complete(g, s);
}

// A member of a consumer group did not do in time what was asked of it.
void group_machine::on_consumer_timer(consumer_group& g, timer kind, const std::string& member_id, step& s) {
  consumer_member* m = g.find(member_id);
  if (m == nullptr) return;
  bool is_late = false;
  switch (kind) {
    case timer::session:
      m->session_timer_ms.reset();
      is_late = m->session_ends_ms <= s.now().steady_ms;
      if (!is_late) {
        m->session_timer_ms = m->session_ends_ms;
        s.set_timer({static_cast<uint8_t>(timer::session), g.id(), member_id}, m->session_ends_ms);
      }
      break;
    case timer::revoke:
      is_late = m->current.state == member_state::unrevoked && m->current.epoch == m->revoking_epoch;
      break;
    case timer::join:
      is_late = m->awaits_join;
      break;
    case timer::sync:
      is_late = m->awaits_sync;
      break;
    case timer::expiry:
      break;
  }
  if (is_late) remove_members(g, {&member_id, 1}, s);
}

void group_machine::on_timer(const timer_key& key, step& s) {
  const auto kind = static_cast<timer>(key.kind);
  if (kind == timer::expiry) return on_expiry_timer(s);
  if (consumer_group* consumers = find_consumer(key.subject); consumers != nullptr) {
    return on_consumer_timer(*consumers, kind, key.part, s);
  }
  classic_group* g = find(key.subject);
  if (g == nullptr) return;  // deleted meanwhile
  switch (kind) {
    case timer::session:
      on_session_timer(*g, key.part, s);
      break;
    case timer::join:
      on_join_timer(*g, s);
      break;
    case timer::sync:
      on_sync_timer(*g, s);
      break;
    case timer::revoke:
    case timer::expiry:
      break;
  }
  check(*g);
}

}  // namespace millrace::broker::coord
