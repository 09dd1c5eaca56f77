// OffsetFetch: a group's positions, as kept.
//
// A partition without one is offset -1 and no error, a group that does not exist likewise: consumers take
// it as "begin where auto.offset.reset says". A position in a topic that has been deleted and made again
// under the same name is none either.
#include "broker/coord/group/group_machine.h"

namespace millrace::broker::coord {
namespace {

fetched_partition position_of(int32_t partition, const committed_offset& o) {
  return {.partition = partition, .offset = o.offset, .leader_epoch = o.leader_epoch, .metadata = o.metadata};
}

// Who names itself a member must be one, of the epoch it is in.
errc check_fetch(const consumer_group* g, const fetch_request& request) {
  if (!request.member_id && request.member_epoch < 0) return errc::none;
  if (g == nullptr) return errc::none;
  const consumer_member* m = g->find(request.member_id.value_or(""));
  if (m == nullptr) return errc::unknown_member_id;
  if (request.member_epoch == m->current.epoch) return errc::none;
  return m->is_classic() ? errc::illegal_generation : errc::stale_member_epoch;
}

}  // namespace

void group_machine::fetch(const fetch_request& request, step& s, reply_to<fetch_result> reply) const {
  if (const errc refusal = check_fetch(find_consumer(request.group), request); refusal != errc::none) {
    return s.answer(std::move(reply), fail(refusal));
  }
  const offset_map& offsets = offsets_of(request.group);
  fetch_result found;
  if (!request.topics) {
    for (const auto& [topic, partitions] : offsets) {
      fetched_topic& entry = found.emplace_back();
      entry.topic = topic;
      for (const auto& [partition, o] : partitions) {
        entry.topic_id = o.topic_id;
        entry.partitions.push_back(position_of(partition, o));
      }
    }
    return s.answer(std::move(reply), std::move(found));
  }
  for (const fetch_topic& asked : *request.topics) {
    fetched_topic& entry = found.emplace_back();
    entry.topic = asked.topic;
    entry.topic_id = asked.topic_id;
    const std::map<int32_t, committed_offset>* known = nullptr;
    if (const auto topic = offsets.find(asked.topic); topic != offsets.end()) known = &topic->second;
    for (const int32_t partition : asked.partitions) {
      fetched_partition& p = entry.partitions.emplace_back(fetched_partition{.partition = partition});
      if (known == nullptr) continue;
      const auto o = known->find(partition);
      if (o == known->end()) continue;
      const uuid& was = o->second.topic_id;
      if (!was.is_zero() && !asked.topic_id.is_zero() && was != asked.topic_id) continue;
      p = position_of(partition, o->second);
    }
  }
  s.answer(std::move(reply), std::move(found));
}

}  // namespace millrace::broker::coord
