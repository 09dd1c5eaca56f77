// watchdog: a thread that ends the broker when a processor's call never ends.
//
// A call inside the broker cannot be interrupted, and while it runs its shard serves nobody. Past the
// deadline the watchdog blames the processor in its breadcrumb and aborts the process; whoever runs the
// broker starts it again, and the processor is in quarantine.
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
  explicit watchdog(int64_t deadline_ms);
  ~watchdog();
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;

  // From now on, this one, too. Any thread.
  void watch(std::shared_ptr<breadcrumb> crumb);

 private:
  void look_after_them();

  std::vector<std::shared_ptr<breadcrumb>> crumbs_;
  const int64_t deadline_ms_;
  std::mutex lock_;
  std::condition_variable stopped_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace millrace::processors
