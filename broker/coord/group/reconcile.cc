#include "broker/coord/group/reconcile.h"

#include <algorithm>

namespace millrace::broker::coord {
namespace {

consumer_assignment move_to(const consumer_assignment& now, int32_t epoch, consumer_assignment next) {
  next.epoch = epoch;
  next.previous_epoch = now.epoch == epoch ? now.previous_epoch : now.epoch;
  return next;
}

consumer_assignment next_step(const consumer_assignment& now, int32_t epoch, const reconcile_input& in) {
  const topic_partitions kept = common(now.assigned, in.target);
  const topic_partitions given_up = without(now.assigned, kept);
  const bool still_has_them = !given_up.empty() && (in.owned == nullptr || has_common(*in.owned, given_up));
  if (still_has_them) {
    return move_to(now, epoch, {.state = member_state::unrevoked, .assigned = kept, .revoking = given_up});
  }
  topic_partitions fresh = without(in.target, kept);
  const size_t wanted = count_of(fresh);
  for (auto at = fresh.begin(); at != fresh.end();) {
    std::erase_if(at->second, [&](int32_t p) { return !in.is_free(at->first, p); });
    at = at->second.empty() ? fresh.erase(at) : std::next(at);
  }
  const bool has_all = count_of(fresh) == wanted;
  return move_to(now, in.target_epoch,
                 {.state = has_all ? member_state::stable : member_state::unreleased,
                  .assigned = together(kept, fresh)});
}

}  // namespace

consumer_assignment reconcile(const consumer_assignment& now, const reconcile_input& in) {
  switch (now.state) {
    case member_state::stable:
      return now.epoch == in.target_epoch ? now : next_step(now, now.epoch, in);
    case member_state::unrevoked:
      if (in.owned == nullptr || has_common(*in.owned, now.revoking)) return now;
      // Its epoch grows with every target it gives something up for, even one that has passed meanwhile.
      return next_step(now, std::min(now.epoch + 1, in.target_epoch), in);
    case member_state::unreleased:
      return next_step(now, now.epoch, in);
  }
  return now;
}

}  // namespace millrace::broker::coord
