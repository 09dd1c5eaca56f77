// clock: the two times of a shard.
//
// `time_point` is monotonic, counts nanoseconds from an arbitrary start, and is what timers and
// durations use; the simulator makes it virtual. Wall-clock milliseconds are for record timestamps
// only: they may jump, and nothing is ever scheduled by them. Ask the reactor for both.
#pragma once

#include <chrono>
#include <cstdint>

namespace millrace::runtime {

using std::chrono::nanoseconds;

// Tag that makes our time points a type of their own; reading it is the reactor's business.
struct shard_clock {
  using rep = int64_t;
  using period = std::nano;
  using duration = nanoseconds;
  using time_point = std::chrono::time_point<shard_clock, nanoseconds>;
  static constexpr bool is_steady = true;
};

using time_point = shard_clock::time_point;

inline constexpr time_point time_never = time_point::max();

}  // namespace millrace::runtime
