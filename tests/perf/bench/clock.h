// clock: what a load generator needs to know of time.
#pragma once

#include <cstdint>
#include <time.h>

namespace millrace::perf {

inline int64_t read_clock(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * int64_t{1'000'000'000} + t.tv_nsec;
}

inline int64_t now_ns() {
  return read_clock(CLOCK_MONOTONIC);
}

inline double process_cpu_seconds() {
  return static_cast<double>(read_clock(CLOCK_PROCESS_CPUTIME_ID)) / 1e9;
}

inline void sleep_until_ns(int64_t due) {
  const timespec t = {.tv_sec = due / 1'000'000'000, .tv_nsec = due % 1'000'000'000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr) != 0) {
  }
}

}  // namespace millrace::perf
