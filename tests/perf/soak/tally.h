// tally: what a client saw since it was last asked. Written by the client's thread, taken by the one that
// reports.
#pragma once

#include <mutex>
#include <string>
#include <utility>

#include "tools/bench/load.h"

namespace millrace::perf {

struct sightings {
  uint64_t records = 0;
  uint64_t failed = 0;
  std::string first_failure;
  tools::samples latency;  // since the moment a record was due
};

class tally {
 public:
  template <class F>
  void update(F&& change) {
    const std::lock_guard lock(mutex_);
    change(seen_);
  }
  sightings take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(seen_, sightings());
  }

 private:
  std::mutex mutex_;
  sightings seen_;
};

inline void add(sightings& to, const sightings& more) {
  to.records += more.records;
  to.failed += more.failed;
  if (to.first_failure.empty()) to.first_failure = more.first_failure;
  to.latency.add(more.latency);
}

}  // namespace millrace::perf
