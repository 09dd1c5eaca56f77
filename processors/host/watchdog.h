// watchdog: a thread that ends the broker when a processor's call never ends.
//
// A call inside the broker cannot be interrupted, and while it runs its shard serves nobody. Past the
// deadline the watchdog blames the processor in its breadcrumb and aborts the process; whoever runs the
// broker starts it again, and the processor is in quarantine.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "processors/host/breadcrumb.h"

namespace millrace::processors {

class watchdog {
 public:
  // The crumbs outlive it.
  watchdog(std::vector<breadcrumb*> crumbs, int64_t deadline_ms);
  ~watchdog();
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;

 private:
  void watch();

  std::vector<breadcrumb*> crumbs_;
  const int64_t deadline_ms_;
  std::mutex lock_;
  std::condition_variable stopped_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace millrace::processors
