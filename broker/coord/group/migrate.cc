// Live migration between the two kinds of group (group.consumer.migration.policy).
//
//   upgrade     the first member of the consumer protocol comes to a classic group: its members stay, with
//               what their leader last assigned to them, and are members of the consumer group from then on
//   downgrade   the last such member has gone: the classic ones get a group of their own kind again, with
//               what they have, and rebalance by themselves
//
// Either way the old kind's records are buried and the new kind's written in one batch, so a crash finds one
// of the two and never both; positions are not touched.
#include <algorithm>

#include "broker/coord/group/answers.h"
#include "broker/coord/group/group_machine.h"
#include "broker/coord/group/subscription.h"

namespace millrace::broker::coord {
namespace {

// What a classic member becomes; nothing if its bytes cannot be read.
struct upgraded_member {
  std::string id;
  consumer_subscription subscription;
  topic_partitions assigned;
  topic_partitions owned;  // what it brought to its last JoinGroup
};

std::optional<upgraded_member> upgraded(const classic_group& g, const group_member& m,
                                        const topic_source& topics) {
  if (m.protocols.empty()) return std::nullopt;
  const std::string& protocol = g.protocol() ? *g.protocol() : m.protocols.front().name;
  auto said = parse_subscription(m.metadata_for(protocol), topics);
  if (!said) return std::nullopt;
  upgraded_member out{.id = m.id,
                      .subscription = {.instance_id = m.instance_id,
                                       .rack_id = std::move(said->rack_id),
                                       .client_id = m.client_id,
                                       .client_host = m.client_host,
                                       .topics = std::move(said->topics),
                                       .rebalance_timeout_ms = m.rebalance_timeout_ms,
                                       .classic = classic_side{m.session_timeout_ms, m.protocols}},
                      .owned = std::move(said->owned)};
  if (const auto was = g.committed().members.find(m.id); was != g.committed().members.end()) {
    auto assigned = parse_assignment(was->second.assignment, topics);
    if (!assigned) return std::nullopt;
    out.assigned = std::move(*assigned);
  }
  return out;
}

}  // namespace

result<consumer_group*> group_machine::upgrade(classic_group& g, step& s) {
  const std::string group_id = g.id();
  const auto refuse = [&](std::string_view why) {
    return fail(errc::group_id_not_found, "Cannot upgrade classic group {} to consumer group because {}.",
                group_id, why);
  };
  if (!config_.migration.may_upgrade) return refuse("online upgrade is disabled");
  if (g.protocol_type() != consumer_protocol_type) {
    return refuse("the group does not use the consumer embedded protocol");
  }
  if (g.members().size() >= static_cast<size_t>(config_.consumer_members_max)) {
    return refuse("the group size exceeds the consumer group maximum size");
  }
  const int32_t epoch = g.generation();
  std::vector<upgraded_member> members;
  topic_partitions taken;  // an assignor of the clients' own may give a partition to several
  for (const auto& [member_id, m] : g.members()) {
    auto member = upgraded(g, m, topics_);
    if (!member) return refuse("the embedded consumer protocol is malformed");
    member->assigned = without(member->assigned, taken);
    taken = together(taken, member->assigned);
    members.push_back(std::move(*member));
  }
  std::vector<record> records;
  for (const upgraded_member& m : members) {
    // A cooperative member may not have heard yet that it is to give these up: nobody gets them before it
    // says so.
    const topic_partitions revoking = without(m.owned, taken);
    taken = together(taken, revoking);
    records.push_back(member_record(group_id, m.id, m.subscription));
    records.push_back(target_record(group_id, m.id, m.assigned));
    records.push_back(
        assignment_record(group_id, m.id,
                          {.epoch = epoch,
                           .previous_epoch = epoch,
                           .state = revoking.empty() ? member_state::stable : member_state::unrevoked,
                           .assigned = m.assigned,
                           .revoking = revoking}));
  }
  size_t bytes = group_tombstone(group_id).bytes_max() + 3 * epoch_record(group_id, {}).bytes_max();
  for (const record& r : records) bytes += r.bytes_max();
  if (!s.has_room(2 * bytes)) return refuse("it does not fit into one batch");

  // Whoever waits comes back and finds its place in the new group.
  for (auto& [member_id, m] : g.members()) {
    if (m.is_joining()) refuse_join(s, g.take_join(m), errc::rebalance_in_progress, member_id);
    if (m.is_syncing()) refuse_sync(s, g.take_sync(m), errc::rebalance_in_progress);
    s.cancel_timer({static_cast<uint8_t>(timer::session), group_id, member_id});
  }
  for (const std::string& pending : g.pending()) {
    s.cancel_timer({static_cast<uint8_t>(timer::session), group_id, pending});
  }
  s.cancel_timer({static_cast<uint8_t>(timer::join), group_id, {}});
  s.cancel_timer({static_cast<uint8_t>(timer::sync), group_id, {}});

  s.emit(group_tombstone(group_id));
  s.emit(epoch_record(group_id, {.epoch = epoch}));
  s.emit(target_epoch_record(group_id, {.epoch = epoch, .made_at_ms = s.now().wall_ms}));
  for (record& r : records) s.emit(std::move(r));
  consumer_group& fresh = *find_consumer(group_id);
  for (auto& [member_id, m] : fresh.members()) touch(fresh, m, s);
  MR_DCHECK(fresh.is_consistent());
  return &fresh;
}

bool group_machine::may_downgrade(const consumer_group& g, std::span<const std::string> without,
                                  const step& s) const {
  if (!config_.migration.may_downgrade) return false;
  size_t left = 0;
  for (const auto& [member_id, m] : g.members()) {
    if (std::ranges::find(without, member_id) != without.end()) continue;
    if (!m.is_classic()) return false;
    ++left;
  }
  if (left == 0 || left > static_cast<size_t>(config_.members_max)) return false;
  return s.has_room(bytes_to_bury(g) + group_record(g.id(), as_generation(g, without, {})).bytes_max());
}

committed_generation group_machine::as_generation(const consumer_group& g,
                                                  std::span<const std::string> without, instant now) const {
  committed_generation next{.protocol_type = std::string(consumer_protocol_type),
                            .generation = g.epoch(),
                            .state_since_ms = now.wall_ms};
  // As a classic group chooses: each votes for the first of its protocols that all have.
  classic_group chooser(g.id());
  for (const auto& [member_id, m] : g.members()) {
    if (std::ranges::find(without, member_id) != without.end() || !m.is_classic()) continue;
    chooser.add({.id = member_id, .protocols = m.subscription.classic->protocols}, consumer_protocol_type);
  }
  // Nobody leads it: a restart before the rebalance that follows takes that as its sign (on_loaded).
  next.protocol = chooser.select_protocol();
  for (const auto& [member_id, m] : chooser.members()) {
    const consumer_member& was = *g.find(member_id);
    const bytes_view said = m.metadata_for(*next.protocol);
    const auto read = parse_subscription(said, topics_);
    next.members.emplace(
        member_id, committed_member{.instance_id = was.subscription.instance_id,
                                    .client_id = was.subscription.client_id,
                                    .client_host = was.subscription.client_host,
                                    .rebalance_timeout_ms = was.subscription.rebalance_timeout_ms,
                                    .session_timeout_ms = was.subscription.classic->session_timeout_ms,
                                    .subscription = {said.begin(), said.end()},
                                    .assignment = make_assignment(
                                        was.current.assigned, read ? read->version : int16_t{0}, topics_)});
  }
  return next;
}

size_t group_machine::bytes_to_bury(const consumer_group& g) {
  const size_t each = member_tombstone(g.id(), "").bytes_max();
  size_t bytes = 3 * each;
  for (const auto& [member_id, m] : g.members()) bytes += 3 * (each + member_id.size());
  for (const auto& [text, resolved] : g.patterns()) bytes += each + text.size();
  return bytes;
}

void group_machine::bury(const consumer_group& g, step& s) {
  const std::string group_id = g.id();
  std::vector<std::string> ids;
  for (const auto& [member_id, m] : g.members()) ids.push_back(member_id);
  std::vector<std::string> patterns;
  for (const auto& [text, resolved] : g.patterns()) patterns.push_back(text);
  for (const std::string& member_id : ids) {
    cancel_timers(g, member_id, s);
    s.emit(assignment_tombstone(group_id, member_id));
    s.emit(target_tombstone(group_id, member_id));
    s.emit(member_tombstone(group_id, member_id));
  }
  for (const std::string& text : patterns) s.emit(pattern_tombstone(group_id, text));
  s.emit(target_epoch_tombstone(group_id));
  s.emit(epoch_tombstone(group_id));
}

// The number of generations goes on where epochs were, so that it never stands for two things.
void group_machine::empty_to_classic(consumer_group& g, step& s) {
  const std::string group_id = g.id();
  const int32_t epoch = g.epoch();
  bury(g, s);
  s.emit(group_record(group_id, {.generation = epoch, .state_since_ms = s.now().wall_ms}));
  find(group_id)->adopt_committed();
}

consumer_group* group_machine::empty_to_consumer(classic_group& g, step& s) {
  const std::string group_id = g.id();
  const int32_t epoch = g.generation();
  for (const std::string& pending : g.pending()) {
    s.cancel_timer({static_cast<uint8_t>(timer::session), group_id, pending});
  }
  if (g.has_committed_generation()) s.emit(group_tombstone(group_id));
  s.emit(epoch_record(group_id, {.epoch = epoch}));
  return find_consumer(group_id);
}

classic_group& group_machine::downgrade(consumer_group& g, step& s) {
  const std::string group_id = g.id();
  const committed_generation next = as_generation(g, {}, s.now());
  std::map<std::string, std::vector<member_protocol>> protocols;
  for (const auto& [member_id, m] : g.members()) {
    protocols.emplace(member_id, m.subscription.classic->protocols);
  }
  bury(g, s);
  s.emit(group_record(group_id, next));
  classic_group& fresh = *find(group_id);
  fresh.adopt_committed();
  for (auto& [member_id, m] : fresh.members()) {
    fresh.set_protocols(m, std::move(protocols[member_id]));
    touch(fresh, m, s);
  }
  check(fresh);
  return fresh;
}

}  // namespace millrace::broker::coord
