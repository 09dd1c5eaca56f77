// pacer: whether the next commit had better wait for company.
//
// Normally a commit waits for nothing: while one is on its way the next gathers, so the disk's own speed sets
// the batching. On a very quick disk, or with clients that come one by one, this can mean thousands of
// commits a second with a request or two in each, and all the CPU goes into commits. Then, and only then, the
// next one waits a little, at most until four requests are in it.
//
// Waiting must pay. A single client that waits for each answer gains nothing from it, so when waits bring no
// company the pacer gives up, for longer each time, and tries again later.
//
// Pure bookkeeping: the writer tells it what happened and asks how long to wait.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "runtime/clock.h"

namespace millrace::storage::wal {

class pacer {
 public:
  using nanoseconds = std::chrono::nanoseconds;
  using time_point = runtime::time_point;

  static constexpr uint32_t requests_enough = 4;
  static constexpr uint64_t busy_per_second = 2000;
  static constexpr nanoseconds window = std::chrono::milliseconds(50);
  static constexpr nanoseconds pause_min = std::chrono::milliseconds(500);
  static constexpr nanoseconds pause_max = std::chrono::seconds(30);

  explicit pacer(nanoseconds delay_max) : delay_max_(delay_max) {}

  // How long a frame with so many requests may wait for more.
  nanoseconds delay_for(uint32_t requests) const noexcept {
    return is_waiting_ && requests < requests_enough ? delay_max_ : nanoseconds(0);
  }

  // A frame has waited; `gained` requests came meanwhile.
  void waited(uint32_t gained) noexcept {
    ++waits_;
    gained_ += gained;
  }

  // A frame with so many requests is durable.
  void committed(time_point now, uint32_t requests) noexcept {
    if (delay_max_.count() == 0) return;
    ++commits_;
    requests_ += requests;
    const nanoseconds passed = now - window_begin_;
    if (passed < window) return;
    // A window that idle time has stretched says nothing of how quick commits follow each other.
    const auto per_second = [passed](uint64_t n) {
      return n * 1'000'000'000 / static_cast<uint64_t>(passed.count());
    };
    if (is_waiting_) {
      // Waiting itself lowers the number of commits, so now the requests tell whether there are many.
      const bool pays = gained_ >= waits_;
      if (!pays && waits_ > 0) {
        pause_until_ = now + pause_;
        pause_ = std::min(pause_ * 2, pause_max);
      }
      if (pays) pause_ = pause_min;
      is_waiting_ = pays && per_second(requests_) > busy_per_second;
    } else {
      is_waiting_ = now >= pause_until_ && per_second(commits_) > busy_per_second &&
                    requests_ < requests_enough * commits_;
    }
    window_begin_ = now;
    commits_ = requests_ = waits_ = gained_ = 0;
  }

 private:
  nanoseconds delay_max_;
  bool is_waiting_ = false;
  time_point window_begin_{};
  time_point pause_until_{};
  nanoseconds pause_ = pause_min;
  uint64_t commits_ = 0;
  uint64_t requests_ = 0;
  uint64_t waits_ = 0;
  uint64_t gained_ = 0;
};

}  // namespace millrace::storage::wal
