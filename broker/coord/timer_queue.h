// timer_queue: named deadlines in order of time. Plain data: who watches the clock is the engine's affair.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "broker/coord/machine.h"

namespace millrace::broker::coord {

class timer_queue {
 public:
  void set(const timer_key& key, int64_t at_ms) {
    cancel(key);
    by_key_.emplace(key, at_ms);
    by_time_.emplace(at_ms, key);
  }
  void cancel(const timer_key& key) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return;
    by_time_.erase({found->second, key});
    by_key_.erase(found);
  }
  void clear() {
    by_key_.clear();
    by_time_.clear();
  }

  std::optional<int64_t> next_ms() const {
    if (by_time_.empty()) return std::nullopt;
    return by_time_.begin()->first;
  }
  // Takes the earliest timer that is due. Equal times come in the order of their keys, so that a run can
  // be repeated.
  std::optional<timer_key> take_due(int64_t now_ms) {
    if (by_time_.empty() || by_time_.begin()->first > now_ms) return std::nullopt;
    timer_key key = by_time_.begin()->second;
    cancel(key);
    return key;
  }
  size_t size() const noexcept { return by_key_.size(); }

 private:
  std::map<timer_key, int64_t> by_key_;
  std::set<std::pair<int64_t, timer_key>> by_time_;
};

}  // namespace millrace::broker::coord
