// The picture of all groups, written again: what keeps the log as short as what is alive (machine.h).
#include <algorithm>

#include "broker/coord/group/group_machine.h"

namespace millrace::broker::coord {
namespace {

// A place in the picture: a group, and a key of it.
std::string place_of(std::string_view group, bytes_view key) {
  return std::to_string(group.size()) + ":" + std::string(group) + std::string(as_text(key));
}

struct place {
  std::string_view group;
  std::string_view key;
};
place read_place(std::string_view text) {
  const size_t colon = text.find(':');
  const auto length = static_cast<size_t>(std::stoul(std::string(text.substr(0, colon))));
  return {text.substr(colon + 1, length), text.substr(colon + 1 + length)};
}

void put_consumer(const consumer_group& g, std::vector<record>& out) {
  out.push_back(epoch_record(g.id(), {g.epoch(), g.topics_hash()}));
  out.push_back(target_epoch_record(g.id(), g.assignment_made()));
  for (const auto& [member_id, m] : g.members()) {
    out.push_back(member_record(g.id(), member_id, m.subscription));
    out.push_back(assignment_record(g.id(), member_id, m.current));
  }
  for (const auto& [member_id, target] : g.targets()) out.push_back(target_record(g.id(), member_id, target));
  for (const auto& [text, resolved] : g.patterns()) out.push_back(pattern_record(g.id(), text, resolved));
}

}  // namespace

std::optional<std::string> group_machine::rewrite(const std::string& from, step& s) {
  const place start = from.empty() ? place{} : read_place(from);
  std::vector<std::string> group_ids;
  for (auto at = groups_.lower_bound(start.group); at != groups_.end(); ++at) group_ids.push_back(at->first);
  for (const std::string& group_id : group_ids) {
    const entry& e = *find_entry(group_id);
    std::vector<record> records;
    if (e.classic && e.classic->has_committed_generation()) {
      records.push_back(group_record(group_id, e.classic->committed()));
    }
    if (e.consumer) put_consumer(*e.consumer, records);
    for (const auto& [topic, partitions] : e.offsets) {
      for (const auto& [partition, o] : partitions)
        records.push_back(offset_record(group_id, topic, partition, o));
    }
    // In the order of their keys, so that the place holds whatever changes before the next call.
    const auto order = [](const record& r) { return as_text(r.key); };
    std::ranges::sort(records, {}, order);
    for (record& r : records) {
      if (group_id == start.group && order(r) < start.key) continue;
      if (!s.has_room_for(r)) return place_of(group_id, r.key);
      s.emit(std::move(r));
    }
  }
  return std::nullopt;
}

}  // namespace millrace::broker::coord
