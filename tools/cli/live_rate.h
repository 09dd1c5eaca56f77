// live_rate: a line on standard error that tells how fast records come, as long as they may.
//
// Only on a terminal. Data may go to the same terminal, so the line is taken away before data is written and
// drawn again under it, four times a second at most.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>

namespace millrace::tools {

// How many of something came in the last seconds. Any clock.
class rate_window {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  // `total` so far. Call it in order of time.
  void add(time_point now, uint64_t total);
  // Per second, over the last `length` or, in the beginning, since the first call; 0 before the second one.
  double per_second() const;

 private:
  static constexpr std::chrono::seconds length{3};
  struct point {
    time_point at;
    uint64_t total;
  };
  std::deque<point> points_;
};

class live_rate {
 public:
  // Draws nothing before `patience` is over, and nothing at all if `is_wanted` is false or standard error is
  // no terminal.
  live_rate(bool is_wanted, std::chrono::milliseconds patience);
  ~live_rate() { clear(); }
  live_rate(const live_rate&) = delete;
  live_rate& operator=(const live_rate&) = delete;

  // So much came so far. Cheap when nothing is due.
  void update(uint64_t records, uint64_t bytes);
  // Data is about to be written: where that goes to a terminal, too, the line makes room until the next
  // update().
  void make_way() {
    if (shares_terminal_) clear();
  }
  // Takes the line away.
  void clear();

 private:
  using clock = std::chrono::steady_clock;
  bool is_active_;
  bool shares_terminal_;
  bool is_drawn_ = false;
  clock::time_point next_draw_;
  rate_window records_;
  rate_window bytes_;
};

}  // namespace millrace::tools
