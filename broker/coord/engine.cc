#include "broker/coord/engine.h"

#include "base/log.h"

namespace millrace::broker::coord {

void step::emit(record r) {
  MR_ASSERT(has_room_for(r));
  bytes_left_ -= static_cast<int64_t>(r.bytes_max());
  const auto applied = machine_.replay(r.key, r.value_view());
  MR_ASSERT(applied.has_value());  // we wrote it a moment ago
  records_.push_back(std::move(r));
}

engine::~engine() {
  stop();
}

result<void> engine::replay(bytes_view key, std::optional<bytes_view> value) {
  MR_ASSERT(phase_ == phase::loading);
  return machine_.replay(key, value);
}

void engine::finish_loading() {
  MR_ASSERT(phase_ == phase::loading && parked_.empty());
  phase_ = phase::active;
  step s(machine_, clock_.now(), log_.batch_bytes_max());
  in_step_ = true;
  machine_.on_loaded(s);
  finish(s);
}

void engine::start_loading() {
  MR_ASSERT(phase_ == phase::stopped);
  phase_ = phase::loading;
  appended_ = durable_ = 0;
}

void engine::on_durable(uint64_t position) {
  if (phase_ != phase::active) return;  // of an append before the last stop
  if (position > durable_) durable_ = position;
  while (!parked_.empty() && parked_.front().position <= durable_) {
    auto replies = std::move(parked_.front().replies);
    parked_.pop_front();
    for (auto& reply : replies) reply();
  }
}

void engine::run_timers() {
  armed_ms_.reset();
  while (phase_ == phase::active) {
    const instant now = clock_.now();
    const auto key = timers_.take_due(now.steady_ms);
    if (!key) break;
    step s(machine_, now, log_.batch_bytes_max());
    in_step_ = true;
    machine_.on_timer(*key, s);
    finish(s);
  }
  rearm();
}

void engine::stop() {
  if (phase_ == phase::stopped) return;
  phase_ = phase::stopped;
  timers_.clear();
  armed_ms_.reset();
  parked_.clear();  // drops the replies inside, and so answers them
  machine_.clear();
}

void engine::finish(step& s) {
  in_step_ = false;
  for (auto& [key, at_ms] : s.timers_) {
    if (at_ms) {
      timers_.set(key, *at_ms);
    } else {
      timers_.cancel(key);
    }
  }
  if (!s.records_.empty()) {
    const auto position = log_.append(s.records_, s.now());
    if (!position) {
      log::warn("coordinator stops: cannot append reason=\"{}\"", to_string(position.error()));
      stop();
      return;  // the step's replies are dropped with it
    }
    MR_ASSERT(*position >= appended_);
    appended_ = *position;
  }
  if (appended_ <= durable_) {
    for (auto& reply : s.replies_) reply();
  } else if (!s.replies_.empty()) {
    parked_.push_back({appended_, std::move(s.replies_)});
  }
  rearm();
}

void engine::rearm() {
  const auto next = timers_.next_ms();
  if (!next || (armed_ms_ && *armed_ms_ <= *next)) return;
  armed_ms_ = next;
  clock_.wake_at(*next);
}

}  // namespace millrace::broker::coord
