#include "broker/fetch/sessions.h"

#include <chrono>
#include <limits>
#include <utility>

namespace millrace::broker {
namespace {

// A session unused for so long gives way to a new one.
constexpr runtime::nanoseconds idle_before_eviction = std::chrono::minutes(2);

}  // namespace

void fetch_session::put(fetch_target target) {
  const key k{target.topic, target.partition};
  if (const auto found = places_.find(k); found != places_.end()) {
    fetch_target& known = *found->second;
    known.offset = target.offset;
    known.bytes_max = target.bytes_max;
    known.leader_epoch = target.leader_epoch;
    known.last_fetched_epoch = target.last_fetched_epoch;
    return;
  }
  places_.emplace(k, order_.insert(order_.end(), std::move(target)));
}

void fetch_session::forget(const topic_ref& topic, int32_t partition) {
  const auto found = places_.find(key{topic, partition});
  if (found == places_.end()) return;
  order_.erase(found->second);
  places_.erase(found);
}

session_use::session_use(std::shared_ptr<fetch_session> session) : session_(std::move(session)) {
  session_->is_busy_ = true;
}

session_use& session_use::operator=(session_use&& other) noexcept {
  session_use taken = std::move(other);
  std::swap(session_, taken.session_);
  return *this;
}

session_use::~session_use() {
  if (session_) session_->is_busy_ = false;
}

session_use fetch_sessions::open(bool uses_ids, runtime::time_point now, prng& random) {
  if (by_id_.size() >= capacity_ && !make_room(now)) return {};
  int32_t id = 0;
  do {
    id = static_cast<int32_t>(random.between(1, std::numeric_limits<int32_t>::max()));
  } while (by_id_.contains(id));
  auto session = std::make_shared<fetch_session>(id, uses_ids);
  session->last_used_ = now;
  by_id_.emplace(id, session);
  return session_use(std::move(session));
}

result<session_use> fetch_sessions::resume(int32_t id, int32_t epoch, bool uses_ids,
                                           runtime::time_point now) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return fail(errc::fetch_session_id_not_found);
  fetch_session& session = *found->second;
  if (session.is_busy_ || epoch != session.next_epoch_) return fail(errc::invalid_fetch_session_epoch);
  if (session.uses_ids_ != uses_ids) return fail(errc::fetch_session_topic_id_error);
  session.next_epoch_ = epoch == std::numeric_limits<int32_t>::max() ? 1 : epoch + 1;
  session.last_used_ = now;
  return session_use(found->second);
}

bool fetch_sessions::make_room(runtime::time_point now) {
  auto oldest = by_id_.end();
  for (auto at = by_id_.begin(); at != by_id_.end(); ++at) {
    if (oldest == by_id_.end() || at->second->last_used_ < oldest->second->last_used_) oldest = at;
  }
  if (oldest == by_id_.end() || now - oldest->second->last_used_ < idle_before_eviction) return false;
  by_id_.erase(oldest);
  return true;
}

}  // namespace millrace::broker
