// DescribeGroups, ListGroups, DeleteGroups, OffsetDelete: what administrators ask of groups.
#include "broker/coord/group/group_machine.h"
#include "broker/coord/group/subscription.h"

namespace millrace::broker::coord {
void group_machine::describe(std::string_view group, step& s, reply_to<describe_result> reply) const {
  describe_result entry;
  entry.group_id = group;
  const classic_group* g = find(group);
  if (g == nullptr) {
    entry.error_code = kafka_code(errc::group_id_not_found);
    entry.group_state = name_of(group_state::dead);
    if (find_consumer(group) != nullptr) entry.protocol_type = consumer_protocol_type;
    return s.answer(std::move(reply), std::move(entry));
  }
  const bool is_stable = g->is(group_state::stable);
  entry.group_state = name_of(g->state());
  entry.protocol_type = g->protocol_type();
  if (is_stable) entry.protocol_data = g->protocol().value_or("");
  for (const auto& [member_id, m] : g->members()) {
    auto& member = entry.members.emplace_back();
    member.member_id = member_id;
    member.group_instance_id = m.instance_id;
    member.client_id = m.client_id;
    member.client_host = m.client_host;
    if (!is_stable) continue;  // what they asked for and got is settled in a stable group only
    const committed_member& c = g->committed().members.find(member_id)->second;
    member.member_metadata = c.subscription;
    member.member_assignment = c.assignment;
  }
  s.answer(std::move(reply), std::move(entry));
}

void group_machine::list(step& s, reply_to<list_result> reply) const {
  list_result groups;
  for (const auto& [group_id, e] : groups_) {
    auto& listed = groups.emplace_back();
    listed.group_id = group_id;
    listed.protocol_type = e.classic ? e.classic->protocol_type() : consumer_protocol_type;
    listed.group_state = e.classic ? name_of(e.classic->state()) : name_of(e.consumer->state());
    listed.group_type = e.classic ? "classic" : "consumer";
  }
  s.answer(std::move(reply), std::move(groups));
}

void group_machine::remove_group(std::string_view group, step& s, reply_to<errc> reply) {
  const entry* e = find_entry(group);
  if (e == nullptr) return s.answer(std::move(reply), errc::group_id_not_found);
  const bool is_empty = e->classic ? e->classic->is(group_state::empty) : e->consumer->members().empty();
  if (!is_empty) return s.answer(std::move(reply), errc::non_empty_group);
  const std::string group_id(group);
  const bool is_classic = e->classic != nullptr;
  const offset_map offsets = e->offsets;
  const record last = is_classic ? group_tombstone(group_id) : epoch_tombstone(group_id);
  for (const auto& [topic, partitions] : offsets) {
    for (const auto& [partition, o] : partitions) {
      const record r = offset_tombstone(group_id, topic, partition);
      // Too many for one batch: the caller comes again for the rest.
      if (!s.has_room(r.bytes_max() + 2 * last.bytes_max())) {
        return s.answer(std::move(reply), errc::coordinator_not_available);
      }
      s.emit(r);
    }
  }
  if (is_classic) {
    s.emit(last);
  } else if (const consumer_group& g = *find_consumer(group_id); s.has_room(bytes_to_bury(g))) {
    bury(g, s);
  } else {
    return s.answer(std::move(reply), errc::coordinator_not_available);
  }
  s.answer(std::move(reply), errc::none);
}

void group_machine::delete_offsets(std::string_view group, std::span<const offset_delete_item> items, step& s,
                                   reply_to<offset_delete_result> reply) {
  const entry* e = find_entry(group);
  if (e == nullptr) return s.answer(std::move(reply), fail(errc::group_id_not_found));
  const bool has_members = e->classic ? !e->classic->is(group_state::empty) : !e->consumer->members().empty();
  if (has_members && e->classic && e->classic->protocol_type() != consumer_protocol_type) {
    return s.answer(std::move(reply), fail(errc::non_empty_group));
  }
  std::optional<std::set<std::string, std::less<>>> subscribed;
  if (has_members)
    subscribed = e->classic ? subscribed_topics(*e->classic) : e->consumer->subscribed_topics();
  offset_delete_result codes;
  for (const offset_delete_item& item : items) {
    // Members whose subscription cannot be read may be reading anything.
    const bool is_read = has_members && (!subscribed || subscribed->contains(item.topic));
    codes.push_back(is_read ? errc::group_subscribed_to_topic : errc::none);
    if (is_read) continue;
    const auto topic = e->offsets.find(item.topic);
    if (topic == e->offsets.end() || !topic->second.contains(item.partition)) continue;
    const record r = offset_tombstone(group, item.topic, item.partition);
    if (s.has_room_for(r)) {
      s.emit(r);
    } else {
      codes.back() = errc::coordinator_not_available;
    }
  }
  s.answer(std::move(reply), std::move(codes));
}

void group_machine::forget_topic(std::string_view topic, step& s) {
  for (const auto& [group_id, e] : groups_) {
    const auto found = e.offsets.find(topic);
    if (found == e.offsets.end()) continue;
    const auto partitions = found->second;
    for (const auto& [partition, o] : partitions) {
      const record r = offset_tombstone(group_id, topic, partition);
      if (!s.has_room_for(r)) return;  // what is left has a foreign topic id and is never handed out
      s.emit(r);
    }
  }
}

}  // namespace millrace::broker::coord
