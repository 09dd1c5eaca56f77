// pacer: whether the next commit had better wait for company.
//
// While a commit is on its way the next gathers, so the disk's own speed sets the batching. Clients that keep
// a few requests on the way each send them one after another, a few ten microseconds apart, once they are
// answered: a commit that leaves with the first of them leaves the others to the next one, and most commits
// carry one request where they could carry several, at the same cost each. So a commit whose clients are seen
// to be about to send more waits for them: until as many are in it as were waiting together lately, and only
// while they keep coming, each within `gap` of the one before.
//
// Waiting must pay. A client with one request at a time is alone in what was seen, and never waited for. When
// waits bring less than one request each, as with many clients at random moments, the pacer gives up, for
// longer each time, and tries again later.
//
// Pure bookkeeping: the writer tells it what happened and asks for how many to wait.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace millrace::storage::wal {

class pacer {
 public:
  using nanoseconds = std::chrono::nanoseconds;

  // The cost of a commit is well shared among so many.
  static constexpr uint32_t requests_enough = 8;
  // Longer than a client takes to send its next batch of 16 KiB.
  static constexpr nanoseconds gap = std::chrono::microseconds(40);
  // Commits after which it is judged whether waiting pays; and for how many such rounds it then rests.
  static constexpr uint32_t round_commits = 32;
  static constexpr uint32_t rest_rounds_min = 4;
  static constexpr uint32_t rest_rounds_max = 1024;

  // `delay_max`: the longest that a commit waits; 0: none ever does.
  explicit pacer(nanoseconds delay_max) : delay_max_(delay_max) {}

  nanoseconds delay_max() const noexcept { return delay_max_; }
  // A commit with fewer requests than this had better wait; 0: none.
  uint32_t requests_wanted() const noexcept {
    if (delay_max_.count() == 0 || rest_ > 0) return 0;
    const uint32_t together = std::max(most_waiting_, most_waiting_before_);
    return together > 1 ? std::min(together, requests_enough) : 0;
  }
  // A commit has waited; `gained` requests came meanwhile.
  void waited(uint32_t gained) noexcept {
    ++waits_;
    gained_ += gained;
  }
  // A commit is durable; so many requests were waiting for it and for those behind it.
  void committed(uint32_t waiting) noexcept {
    most_waiting_ = std::max(most_waiting_, waiting);
    if (++commits_ < round_commits) return;
    if (rest_ > 0) {
      --rest_;
    } else if (waits_ > 0 && gained_ < waits_) {
      rest_ = next_rest_;
      next_rest_ = std::min(next_rest_ * 2, rest_rounds_max);
    } else if (waits_ > 0) {
      next_rest_ = rest_rounds_min;
    }
    most_waiting_before_ = most_waiting_;
    most_waiting_ = commits_ = waits_ = gained_ = 0;
  }

 private:
  nanoseconds delay_max_;
  // Of this round and of the one before: what was seen long ago must not be waited for.
  uint32_t most_waiting_ = 0;
  uint32_t most_waiting_before_ = 0;
  uint32_t commits_ = 0;
  uint32_t waits_ = 0;
  uint32_t gained_ = 0;
  uint32_t rest_ = 0;
  uint32_t next_rest_ = rest_rounds_min;
};

}  // namespace millrace::storage::wal
