// The rebalance of a consumer group: what a member's request sets off, all within its own step.
//
//   refresh   a changed subscription, member or topic: the group's epoch grows
//   divide    the epoch is beyond the target's: the assignor makes a new target, not more often than the
//             assignment interval allows; classic members, which wait for an answer, are not kept waiting
//   reconcile the member goes as far towards it as it can (reconcile.h)
//
// Other members learn of it with their own next heartbeats.
#include <algorithm>

#include "base/checksum.h"
#include "base/log.h"
#include "broker/coord/group/assignor.h"
#include "broker/coord/group/group_machine.h"
#include "broker/coord/group/reconcile.h"
#include "broker/coord/group/topic_pattern.h"

namespace millrace::broker::coord {
namespace {

// Whether the partitions have to be divided anew. A rack, a client or a timeout changes nothing about them.
bool reads_otherwise(const consumer_subscription& a, const consumer_subscription& b) {
  return a.topics != b.topics || a.pattern != b.pattern || a.assignor != b.assignor ||
         a.instance_id != b.instance_id;
}

// Evaluated in one step: each may take milliseconds over many topics, and the shard has other work.
constexpr size_t patterns_at_once = 8;

// What a step still needs for the group's own epochs.
size_t reserved_bytes(const consumer_group& g) {
  return 4 * epoch_record(g.id(), {}).bytes_max();
}

}  // namespace

void group_machine::refresh(consumer_group& g, const std::string& member_id,
                            const consumer_subscription& wanted, const topic_partitions* owned, step& s) {
  const consumer_member* known = g.find(member_id);
  bool has_changed = g.epoch() == 0 || known == nullptr || reads_otherwise(known->subscription, wanted);
  if (known == nullptr || known->subscription != wanted) s.emit(member_record(g.id(), member_id, wanted));
  if (has_changed) drop_unused_patterns(g, s);
  has_changed |= refresh_patterns(g, wanted.pattern, s);
  if (has_changed || g.is_stale) {
    const uint64_t hash = topics_hash(g);
    if (has_changed || hash != g.topics_hash()) s.emit(epoch_record(g.id(), {g.epoch() + 1, hash}));
    g.is_stale = false;
  }
  if (g.epoch() > g.assignment_epoch() && (wanted.classic || assignment_pause_ms(g, s.now()) == 0))
    divide(g, s);

  consumer_member& m = *g.find(member_id);
  const consumer_assignment next = reconcile(
      m.current,
      {.target_epoch = g.assignment_epoch(),
       .target = g.target_of(member_id),
       .owned = owned,
       .is_free = [&](const uuid& topic, int32_t partition) { return g.is_free_for(m, topic, partition); }});
  if (next == m.current) return;
  const record moved = assignment_record(g.id(), member_id, next);
  if (!s.has_room_for(moved)) return;  // the next heartbeat has a batch of its own
  s.emit(moved);
  if (m.is_classic()) return;  // it is called to join again, and timed by that
  const timer_key revoke{static_cast<uint8_t>(timer::revoke), g.id(), member_id};
  if (m.current.state == member_state::unrevoked) {
    m.revoking_epoch = m.current.epoch;
    s.set_timer(revoke, s.now().steady_ms + m.subscription.rebalance_timeout_ms);
  } else {
    s.cancel_timer(revoke);
  }
}

// Evaluates `wanted` if it is new here, and a few of those whose topics may have changed. True if any stands
// for other topics now.
bool group_machine::refresh_patterns(consumer_group& g, std::string_view wanted, step& s) {
  std::vector<std::string> due;
  if (!wanted.empty() && !g.patterns().contains(wanted)) due.emplace_back(wanted);
  while (!g.stale_patterns.empty() && due.size() < patterns_at_once) {
    due.push_back(std::move(g.stale_patterns.extract(g.stale_patterns.begin()).value()));
  }
  bool has_changed = false;
  for (const std::string& text : due) {
    if (text != wanted && !g.patterns().contains(text)) continue;  // nobody uses it any more
    const auto pattern = topic_pattern::compile(text);
    if (!pattern) continue;  // a log may bring one that another version took
    resolved_pattern resolved{.resolved_at_ms = s.now().wall_ms};
    topics_.for_each_name([&](std::string_view name) {
      if (pattern->matches(name)) resolved.topics.emplace_back(name);
    });
    const auto before = g.patterns().find(text);
    if (before != g.patterns().end() && before->second.topics == resolved.topics) continue;
    const record r = pattern_record(g.id(), text, resolved);
    if (!s.has_room(r.bytes_max() + reserved_bytes(g))) {
      log::warn("the topics of a pattern do not fit into one record group=\"{}\" topics={}", g.id(),
                resolved.topics.size());
      continue;
    }
    s.emit(r);
    has_changed = true;
  }
  return has_changed;
}

void group_machine::drop_unused_patterns(consumer_group& g, step& s) {
  std::vector<std::string> unused;
  for (const auto& [text, resolved] : g.patterns()) {
    if (!g.has_subscriber_of_pattern(text)) unused.push_back(text);
  }
  for (const std::string& text : unused) {
    const record r = pattern_tombstone(g.id(), text);
    if (s.has_room(r.bytes_max() + reserved_bytes(g))) s.emit(r);
  }
}

// Over everything the assignor's result depends on of the topics.
uint64_t group_machine::topics_hash(const consumer_group& g) const {
  uint64_t hash = 0;
  for (const std::string& name : g.subscribed_topics()) {
    const auto t = topics_.find(name);
    if (!t) continue;
    hash = xxh3(as_bytes(name), hash);
    hash = xxh3(t->id.bytes, hash + static_cast<uint64_t>(t->partitions));
  }
  return hash;
}

int64_t group_machine::assignment_pause_ms(const consumer_group& g, instant now) const {
  if (g.assignment_epoch() == 0) return 0;
  const int64_t since_ms = now.wall_ms - g.assignment_made().made_at_ms;
  const int64_t interval_ms = config_.assignment_interval_ms_of(g.id());
  // A clock that was set back may not hold the group up.
  return since_ms < 0 ? 0 : std::max<int64_t>(0, interval_ms - since_ms);
}

void group_machine::divide(consumer_group& g, step& s) {
  assignor_input in;
  std::map<std::string, size_t, std::less<>> index;
  for (const std::string& name : g.subscribed_topics()) {
    const auto t = topics_.find(name);
    if (!t) continue;
    index.emplace(name, in.topics.size());
    in.topics.push_back({t->id, t->partitions});
  }
  for (const auto& [member_id, m] : g.members()) {
    assignor_member& member = in.members.emplace_back(assignor_member{
        .id = member_id, .instance_id = m.subscription.instance_id, .current = &g.target_of(member_id)});
    for (const std::string& name : g.topics_of(m)) {
      if (const auto t = index.find(name); t != index.end()) member.topics.push_back(t->second);
    }
    std::ranges::sort(member.topics);
  }
  const assignor_function assign = find_assignor(g.preferred_assignor(config_.assignors.front()));
  MR_ASSERT(assign != nullptr);  // the configuration and check_beat see to it
  const assignor_output targets = assign(in);

  std::vector<record> changes;
  size_t bytes = 0;
  for (size_t i = 0; i < in.members.size(); ++i) {
    const auto known = g.targets().find(in.members[i].id);
    if (known != g.targets().end() && known->second == targets[i]) continue;
    changes.push_back(target_record(g.id(), in.members[i].id, targets[i]));
    bytes += changes.back().bytes_max();
  }
  record made = target_epoch_record(g.id(), {g.epoch(), s.now().wall_ms});
  if (!s.has_room(bytes + made.bytes_max())) {
    log::warn("a target assignment does not fit into one batch group=\"{}\" bytes={}", g.id(), bytes);
    return;
  }
  for (record& r : changes) s.emit(std::move(r));
  s.emit(std::move(made));
}

bool group_machine::has_room_to_take_over(const consumer_group& g, const consumer_member& old,
                                          const step& s) {
  size_t bytes = member_record(g.id(), old.id, old.subscription).bytes_max();
  bytes += target_record(g.id(), old.id, g.target_of(old.id)).bytes_max();
  bytes += assignment_record(g.id(), old.id, old.current).bytes_max();
  return s.has_room(2 * bytes);
}

void group_machine::take_over(consumer_group& g, const std::string& old_id, const std::string& fresh_id,
                              int32_t epoch, step& s) {
  const consumer_member& old = *g.find(old_id);
  const consumer_subscription subscription = old.subscription;
  consumer_assignment current = old.current;
  current.epoch = epoch;
  current.previous_epoch = epoch;
  current.state = member_state::unreleased;  // it has to be looked at, whatever its epoch
  current.revoking.clear();
  const topic_partitions target = g.target_of(old_id);
  cancel_timers(g, old_id, s);
  s.emit(assignment_tombstone(g.id(), old_id));
  s.emit(target_tombstone(g.id(), old_id));
  s.emit(member_tombstone(g.id(), old_id));
  s.emit(member_record(g.id(), fresh_id, subscription));
  s.emit(target_record(g.id(), fresh_id, target));
  s.emit(assignment_record(g.id(), fresh_id, current));
}

void group_machine::remove_members(consumer_group& g, std::span<const std::string> member_ids, step& s) {
  const bool becomes_classic = may_downgrade(g, member_ids, s);
  for (const std::string& member_id : member_ids) {
    cancel_timers(g, member_id, s);
    s.emit(assignment_tombstone(g.id(), member_id));
    s.emit(target_tombstone(g.id(), member_id));
    s.emit(member_tombstone(g.id(), member_id));
  }
  if (becomes_classic) {
    classic_group& classic = downgrade(g, s);
    prepare_rebalance(classic, s);
    return check(classic);
  }
  drop_unused_patterns(g, s);
  s.emit(epoch_record(g.id(), {g.epoch() + 1, g.topics_hash()}));
  MR_DCHECK(g.is_consistent());
}

void group_machine::cancel_timers(const consumer_group& g, const std::string& member_id, step& s) {
  for (const timer kind : {timer::session, timer::join, timer::sync, timer::revoke}) {
    s.cancel_timer({static_cast<uint8_t>(kind), g.id(), member_id});
  }
}

}  // namespace millrace::broker::coord
