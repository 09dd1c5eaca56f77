// clock: what a load needs to know of time.
#pragma once

#include <cstdint>
#include <time.h>

namespace millrace::tools {

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

inline double seconds_between(int64_t from_ns, int64_t to_ns) {
  return static_cast<double>(to_ns - from_ns) / 1e9;
}

inline void sleep_until_ns(int64_t due) {
  const timespec t = {.tv_sec = due / 1'000'000'000, .tv_nsec = due % 1'000'000'000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr) != 0) {
  }
}

// When record number `i` of a load of `rate` records/s is due, from its start on.
inline int64_t due_ns(uint64_t i, uint64_t rate) {
  return static_cast<int64_t>(i / rate * 1'000'000'000 + i % rate * 1'000'000'000 / rate);
}

}  // namespace millrace::tools
