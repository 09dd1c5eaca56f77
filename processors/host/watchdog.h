// watchdog: a thread that ends the broker when a processor's call never ends, or eats up its memory.
//
// A call inside the broker cannot be interrupted, and while it runs its shard serves nobody. Past the
// deadline the watchdog blames the processor in its breadcrumb and aborts the process; whoever runs the
// broker starts it again, and the processor is in quarantine. It does the same when the broker's resident
// memory has grown too much while a call lasted (/proc/self/statm); of several calls, the one whose thread
// has touched the most new pages meanwhile is to blame. What leaks a little in each of many calls goes
// unnoticed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "processors/host/breadcrumb.h"

namespace millrace::processors {

class watchdog {
 public:
  // `growth_max_bytes`: of resident memory, during a call; 0: any.
  watchdog(int64_t deadline_ms, int64_t growth_max_bytes);
  ~watchdog();
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;

  // From now on, this one, too. Any thread.
  void watch(std::shared_ptr<breadcrumb> crumb);

 private:
  // A call, as it was when it was first seen.
  struct watched {
    std::shared_ptr<breadcrumb> crumb;
    int64_t since = 0;  // 0: none
    int64_t resident_bytes = 0;
    int64_t faults = 0;  // of its thread
  };

  void look_after_them();
  void check_deadline(breadcrumb& crumb) const;
  void check_growth();

  std::vector<watched> all_;
  const int64_t deadline_ms_;
  const int64_t growth_max_bytes_;
  std::mutex lock_;
  std::condition_variable stopped_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace millrace::processors
