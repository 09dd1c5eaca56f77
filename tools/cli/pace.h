// pace: when the next of many equal steps is due, so many a second.
//
// A step that could not be taken in time (no input, a busy machine) is caught up with, but for no more than a
// tenth of a second: what comes after a long wait comes at the rate again, not all at once.
#pragma once

#include <algorithm>
#include <cstdint>

namespace millrace::tools {

class pace {
 public:
  // Requires: per_second > 0.
  explicit pace(uint64_t per_second) : per_second_(per_second) {}

  // When the next step is due, on the clock of `now_ns`; not later than now means at once.
  int64_t next_due_ns(int64_t now_ns) {
    const int64_t earliest = now_ns - catch_up_ns;
    int64_t due = begin_ns_ + at();
    if (steps_ == 0 || due < earliest) {
      begin_ns_ = due = steps_ == 0 ? now_ns : earliest;
      steps_ = 0;
    }
    ++steps_;
    return due;
  }

 private:
  static constexpr int64_t catch_up_ns = 100'000'000;

  int64_t at() const {
    return static_cast<int64_t>(steps_ / per_second_ * 1'000'000'000 +
                                steps_ % per_second_ * 1'000'000'000 / per_second_);
  }

  uint64_t per_second_;
  uint64_t steps_ = 0;  // since begin_ns_
  int64_t begin_ns_ = 0;
};

}  // namespace millrace::tools
