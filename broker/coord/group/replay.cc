// replay: the only code that changes what is durable of a group, live and at start alike.
#include "base/assert.h"
#include "base/buffer.h"
#include "broker/coord/group/group_machine.h"
#include "protocol/generated/group_metadata_key.h"
#include "protocol/generated/legacy_offset_commit_key.h"
#include "protocol/generated/offset_commit_key.h"

namespace millrace::broker::coord {
namespace {

template <class T>
std::optional<T> value_of(consumer_change& change) {
  if (!change.value) return std::nullopt;
  return std::get<T>(std::move(*change.value));
}

}  // namespace

result<void> group_machine::replay(bytes_view key, std::optional<bytes_view> value) {
  protocol::reader in(slice::copy_of(key));
  int16_t type = 0;
  in.get(type, "record type");
  MR_TRY(in.status("coordinator record", 0));
  switch (type) {
    case protocol::group_metadata_key::record_type: {
      auto change = decode_group_record(in, value);
      if (!change) return std::unexpected(std::move(change.error()));
      apply(std::move(*change));
      return {};
    }
    case protocol::legacy_offset_commit_key::record_type:  // the same layout in key and value
    case protocol::offset_commit_key::record_type: {
      auto change = decode_offset_record(in, value);
      if (!change) return std::unexpected(std::move(change.error()));
      apply(std::move(*change));
      return {};
    }
    default: {
      auto change = decode_consumer_record(type, in, value);
      if (!change) return std::unexpected(std::move(change.error()));
      if (*change) apply(std::move(**change));
      return {};
    }
  }
}

// A group is of the classic kind until a record says otherwise: commits alone make one.
group_machine::entry& group_machine::entry_for(const std::string& group) {
  entry& e = groups_[group];
  if (!e.classic && !e.consumer) e.classic = std::make_unique<classic_group>(group);
  return e;
}

void group_machine::apply(group_change&& change) {
  if (change.generation) {
    entry& e = entry_for(change.group);
    if (!e.classic) {
      e.consumer.reset();
      e.classic = std::make_unique<classic_group>(change.group);
    }
    return e.classic->set_committed(std::move(change.generation));
  }
  const auto found = groups_.find(change.group);
  if (found == groups_.end() || !found->second.classic) return;
  found->second.classic->set_committed(std::nullopt);
  // Positions outlive the group's own record if their tombstones are still to come.
  if (found->second.offsets.empty()) groups_.erase(found);
}

void group_machine::apply(offset_change&& change) {
  if (change.offset) {
    entry_for(change.group)
        .offsets[change.topic]
        .insert_or_assign(change.partition, std::move(*change.offset));
    return;
  }
  const auto group = groups_.find(change.group);
  if (group == groups_.end()) return;
  offset_map& offsets = group->second.offsets;
  const auto topic = offsets.find(change.topic);
  if (topic == offsets.end()) return;
  topic->second.erase(change.partition);
  if (topic->second.empty()) offsets.erase(topic);
}

void group_machine::apply(consumer_change&& change) {
  using enum consumer_change::about;
  if (change.what == epoch && !change.value) {
    const auto found = groups_.find(change.group);
    if (found == groups_.end() || !found->second.consumer) return;
    found->second.consumer.reset();
    if (found->second.offsets.empty()) {
      groups_.erase(found);
    } else {
      entry_for(change.group);
    }
    return;
  }
  if (!change.value && find_consumer(change.group) == nullptr) return;
  entry& e = entry_for(change.group);
  if (!e.consumer) {
    e.classic.reset();
    e.consumer = std::make_unique<consumer_group>(change.group);
  }
  consumer_group& g = *e.consumer;
  switch (change.what) {
    case epoch:
      return g.set_epoch(std::get<group_epoch>(*change.value));
    case target_epoch:
      return g.set_target_epoch(value_of<coord::target_epoch>(change).value_or(coord::target_epoch{}));
    case member:
      if (!change.value) return g.remove_member(change.subject);
      return g.set_subscription(change.subject, *value_of<consumer_subscription>(change));
    case target:
      return g.set_target(change.subject, value_of<topic_partitions>(change));
    case assignment:
      return g.set_current(change.subject, value_of<consumer_assignment>(change));
    case pattern:
      return g.set_pattern(change.subject, value_of<resolved_pattern>(change));
  }
}

void group_machine::on_loaded(step& s) {
  for (auto& [group_id, e] : groups_) {
    if (e.consumer) {
      e.consumer->look_again();
      for (auto& [member_id, m] : e.consumer->members()) {
        touch(*e.consumer, m, s);
        if (m.current.state != member_state::unrevoked || m.is_classic()) continue;
        m.revoking_epoch = m.current.epoch;
        s.set_timer({static_cast<uint8_t>(timer::revoke), group_id, member_id},
                    s.now().steady_ms + m.subscription.rebalance_timeout_ms);
      }
      continue;
    }
    classic_group& g = *e.classic;
    g.adopt_committed();
    for (auto& [member_id, m] : g.members()) touch(g, m, s);
    // The limit was lowered: who comes back first stays. Or the group has just become a classic one, and is
    // still to divide its partitions by itself.
    const bool was_downgraded = !g.members().empty() && !g.committed().leader;
    if (was_downgraded || g.members().size() > static_cast<size_t>(config_.members_max))
      prepare_rebalance(g, s);
    check(g);
  }
  s.set_timer({static_cast<uint8_t>(timer::expiry), {}, {}},
              s.now().steady_ms + config_.retention_check_interval_ms);
}

void group_machine::clear() {
  groups_.clear();
}

const group_machine::entry* group_machine::find_entry(std::string_view group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : &found->second;
}

const classic_group* group_machine::find(std::string_view group) const {
  const entry* e = find_entry(group);
  return e == nullptr ? nullptr : e->classic.get();
}
classic_group* group_machine::find(std::string_view group) {
  return const_cast<classic_group*>(std::as_const(*this).find(group));
}

const consumer_group* group_machine::find_consumer(std::string_view group) const {
  const entry* e = find_entry(group);
  return e == nullptr ? nullptr : e->consumer.get();
}
consumer_group* group_machine::find_consumer(std::string_view group) {
  return const_cast<consumer_group*>(std::as_const(*this).find_consumer(group));
}

const offset_map& group_machine::offsets_of(std::string_view group) const {
  static const offset_map none;
  const entry* e = find_entry(group);
  return e == nullptr ? none : e->offsets;
}

void group_machine::topics_changed() {
  for (auto& [group_id, e] : groups_) {
    if (e.consumer) e.consumer->look_again();
  }
}

void group_machine::check(const classic_group& g) const {
  MR_DCHECK(g.is_consistent());
}

}  // namespace millrace::broker::coord
