// Expiry: positions that nobody needs any more, and groups that have none left (KIP-211).
//
// The clock of a position starts when the group becomes empty; of a group that never had members, with
// the commit itself; in a group of consumers that is at work, for topics none of them reads. In a group of
// the consumer protocol it is always the commit, as long as no member reads the topic.
#include "broker/coord/group/group_machine.h"
#include "broker/coord/group/subscription.h"

namespace millrace::broker::coord {

bool group_machine::has_expired(const classic_group& g, std::string_view topic, const committed_offset& o,
                                int64_t now_ms) const {
  if (o.expires_at_ms) return g.is(group_state::empty) && now_ms >= *o.expires_at_ms;
  int64_t since_ms = o.committed_at_ms;
  if (g.is(group_state::empty)) {
    if (!g.protocol_type().empty() && g.committed().state_since_ms > 0)
      since_ms = g.committed().state_since_ms;
  } else {
    if (!g.is(group_state::stable)) return false;
    const auto subscribed = subscribed_topics(g);
    if (!subscribed || subscribed->contains(topic)) return false;
  }
  return now_ms - since_ms >= config_.offsets_retention_ms;
}

// What is past its time of one group; with the group itself, if nothing is left of it.
std::vector<record> group_machine::expired_of(const std::string& group_id, const entry& e,
                                              int64_t now_ms) const {
  std::vector<record> gone;
  size_t kept = 0;
  consumer_group::topic_names read;
  if (e.consumer) read = e.consumer->subscribed_topics();
  for (const auto& [topic, partitions] : e.offsets) {
    for (const auto& [partition, o] : partitions) {
      const bool is_expired =
          e.classic ? has_expired(*e.classic, topic, o, now_ms)
                    : !read.contains(topic) && now_ms - o.committed_at_ms >= config_.offsets_retention_ms;
      if (is_expired) {
        gone.push_back(offset_tombstone(group_id, topic, partition));
      } else {
        ++kept;
      }
    }
  }
  if (kept > 0) return gone;
  if (e.classic && e.classic->is(group_state::empty) && e.classic->pending().empty()) {
    gone.push_back(group_tombstone(group_id));
  }
  if (e.consumer && e.consumer->members().empty()) {
    for (const auto& [text, resolved] : e.consumer->patterns()) {
      gone.push_back(pattern_tombstone(group_id, text));
    }
    gone.push_back(target_epoch_tombstone(group_id));
    gone.push_back(epoch_tombstone(group_id));
  }
  return gone;
}

void group_machine::on_expiry_timer(step& s) {
  int64_t pause_ms = config_.retention_check_interval_ms;
  std::vector<std::string> group_ids;
  for (const auto& [group_id, e] : groups_) group_ids.push_back(group_id);
  for (const std::string& group_id : group_ids) {
    std::vector<record> gone = expired_of(group_id, *find_entry(group_id), s.now().wall_ms);
    for (record& r : gone) {
      if (!s.has_room_for(r)) {
        pause_ms = 0;  // one batch is full: go on in the next
        break;
      }
      s.emit(std::move(r));
    }
    if (pause_ms == 0) break;
  }
  s.set_timer({static_cast<uint8_t>(timer::expiry), {}, {}}, s.now().steady_ms + pause_ms);
}

}  // namespace millrace::broker::coord
