// OffsetCommit: a group's positions, kept.
//
// A consumer of the group shows its member id and generation and is fenced by them. Without either it is
// a program that assigns itself its partitions, or an administrator: welcome while the group has no members.
#include <algorithm>

#include "broker/coord/group/group_machine.h"
#include "broker/coord/group/ids.h"

namespace millrace::broker::coord {
namespace {

constexpr int16_t first_version_with_epochs = 9;

errc check_commit(const classic_group& g, const commit_request& request) {
  if (request.generation < 0 && g.is(group_state::empty)) return errc::none;
  if (request.generation < 0 && request.member_id.empty() && !request.instance_id)
    return errc::unknown_member_id;
  const std::optional<std::string_view> instance_id = request.instance_id;
  if (const errc code = g.check_member(request.member_id, instance_id); code != errc::none) return code;
  if (request.generation != g.generation()) return errc::illegal_generation;
  // Its partitions are being given away; what it read of them will be read again by the next owner. While
  // the rebalance only gathers members it still owns them, and should commit.
  if (g.is(group_state::completing_rebalance)) return errc::rebalance_in_progress;
  return errc::none;
}

// A member of the consumer protocol may find that its epoch has moved on: it asks for the new one and commits
// again. From a classic member of such a group that is a generation that has passed.
errc check_commit(const consumer_group& g, const commit_request& request) {
  if (request.generation < 0 && g.members().empty()) return errc::none;
  const consumer_member* m = g.find(request.member_id);
  if (m == nullptr) return errc::unknown_member_id;
  if (m->is_classic()) {
    return request.generation == m->current.epoch ? errc::none : errc::illegal_generation;
  }
  if (request.version < first_version_with_epochs) return errc::unsupported_version;
  return request.generation == m->current.epoch ? errc::none : errc::stale_member_epoch;
}

}  // namespace

errc group_machine::check_commit(const commit_request& request) const {
  if (request.group.size() > id_bytes_max) return errc::invalid_group_id;
  if (const classic_group* g = find(request.group)) return coord::check_commit(*g, request);
  if (const consumer_group* g = find_consumer(request.group)) return coord::check_commit(*g, request);
  if (request.generation < 0) return errc::none;
  return request.version >= first_version_with_epochs ? errc::group_id_not_found : errc::illegal_generation;
}

void group_machine::commit(const commit_request& request, step& s, reply_to<commit_result> reply) {
  commit_result codes(request.items.size(), errc::none);
  if (const errc refusal = check_commit(request); refusal != errc::none) {
    codes.assign(codes.size(), refusal);
    return s.answer(std::move(reply), std::move(codes));
  }
  if (classic_group* g = find(request.group)) {
    if (group_member* m = g->find(request.member_id); m != nullptr) touch(*g, *m, s);
  } else if (consumer_group* consumers = find_consumer(request.group)) {
    consumer_member* m = consumers->find(request.member_id);
    if (m != nullptr && m->is_classic()) touch(*consumers, *m, s);
  }

  const size_t metadata_bytes_max =
      std::min(static_cast<size_t>(config_.offset_metadata_bytes_max), offset_metadata_bytes_ceiling);
  for (size_t i = 0; i < request.items.size(); ++i) {
    const commit_item& item = request.items[i];
    if (item.metadata.size() > metadata_bytes_max) {
      codes[i] = errc::offset_metadata_too_large;
      continue;
    }
    committed_offset position{.offset = item.offset,
                              .leader_epoch = item.leader_epoch,
                              .metadata = item.metadata,
                              .committed_at_ms = item.committed_at_ms.value_or(s.now().wall_ms),
                              .topic_id = item.topic_id};
    if (request.retention_ms) position.expires_at_ms = position.committed_at_ms + *request.retention_ms;
    const record r = offset_record(request.group, item.topic, item.partition, position);
    if (!s.has_room_for(r)) {
      codes[i] = errc::invalid_commit_offset_size;
      continue;
    }
    s.emit(r);  // creates the group if this is its first
  }
  s.answer(std::move(reply), std::move(codes));
}

}  // namespace millrace::broker::coord
