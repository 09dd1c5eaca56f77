#include "storage/log/partition_log.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/assert.h"

namespace millrace::storage {

std::string segment_stem(offset base) {
  return fmt::format("{:020d}", base.value());
}

void log_watch::link(partition_log& log, log_watcher& watcher) {
  MR_ASSERT(!is_linked());
  log_watch& head = log.watches_;
  watcher_ = &watcher;
  previous_ = head.previous_;
  next_ = &head;
  previous_->next_ = this;
  head.previous_ = this;
}

void log_watch::unlink() noexcept {
  if (!is_linked()) return;
  previous_->next_ = next_;
  next_->previous_ = previous_;
  previous_ = next_ = nullptr;
}

partition_log::partition_log(partition_spec spec, leader_epoch epoch)
    : spec_(std::move(spec)), epoch_(epoch) {
  watches_.previous_ = watches_.next_ = &watches_;
}

partition_log::~partition_log() {
  while (watches_.next_ != &watches_) {
    log_watch* first = watches_.next_;
    first->unlink();
    first->watcher_->log_removed(*this);
  }
}

uint64_t partition_log::size_bytes() const noexcept {
  uint64_t sum = cache_.unspilled_bytes();
  for (const segment& s : segments_) sum += s.size_bytes();
  return sum;
}

std::string partition_log::directory_name() const {
  return fmt::format("{}-{}", spec_.topic_name, spec_.id.partition);
}

void partition_log::push(cached_batch batch) {
  MR_ASSERT(batch.base == log_end_);
  log_end_ = batch.last.next();
  cache_.push(std::move(batch));
}

void partition_log::advance_high_watermark(offset to) {
  if (to <= high_watermark_) return;
  MR_ASSERT(to <= log_end_);
  high_watermark_ = to;
  // A watcher may unlink itself or others, or link new watches (at the end), while it is told. The
  // marker keeps our place and ends the round where the list ended when it began.
  log_watch place;
  log_watch end;
  const auto insert_before = [](log_watch& node, log_watch& position) {
    node.previous_ = position.previous_;
    node.next_ = &position;
    node.previous_->next_ = &node;
    position.previous_ = &node;
  };
  if (watches_.next_ == &watches_) return;
  insert_before(end, watches_);
  insert_before(place, *watches_.next_);
  while (place.next_ != &end) {
    log_watch* told = place.next_;
    place.unlink();
    insert_before(place, *told->next_);
    if (told->watcher_) told->watcher_->log_advanced(*this);
  }
}

bool partition_log::advance_log_start(offset to) {
  MR_ASSERT(to <= high_watermark_);
  if (to <= log_start_) return false;
  log_start_ = to;
  return true;
}

segment* partition_log::segment_of(offset at) noexcept {
  auto found = std::upper_bound(segments_.begin(), segments_.end(), at,
                                [](offset o, const segment& s) { return o < s.end; });
  return found == segments_.end() ? nullptr : &*found;
}

void partition_log::restore(offset log_start, offset spilled_end, lsn redo_from,
                            std::vector<segment> segments) {
  MR_ASSERT(cache_.empty() && segments_.empty());
  segments_ = std::move(segments);
  log_start_ = log_start;
  cache_start_ = log_end_ = high_watermark_ = spilled_end;
  redo_from_ = redo_from;
}

}  // namespace millrace::storage
