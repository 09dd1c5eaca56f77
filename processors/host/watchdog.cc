#include "processors/host/watchdog.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "base/log.h"

namespace millrace::processors {

watchdog::watchdog(int64_t deadline_ms) : deadline_ms_(deadline_ms), thread_([this] { look_after_them(); }) {}

watchdog::~watchdog() {
  {
    const std::lock_guard held(lock_);
    is_stopping_ = true;
  }
  stopped_.notify_all();
  thread_.join();
}

void watchdog::watch(std::shared_ptr<breadcrumb> crumb) {
  const std::lock_guard held(lock_);
  crumbs_.push_back(std::move(crumb));
}

void watchdog::look_after_them() {
  const auto interval = std::chrono::milliseconds(std::clamp<int64_t>(deadline_ms_ / 4, 20, 1000));
  std::unique_lock held(lock_);
  while (!stopped_.wait_for(held, interval, [this] { return is_stopping_; })) {
    for (const std::shared_ptr<breadcrumb>& crumb : crumbs_) {
      const int64_t took_ms = crumb->in_call_ms();
      if (took_ms <= deadline_ms_) continue;
      crumb->blame(verdict_deadline);
      log::error(
          "processor does not return; ending the broker processor={} since_ms={} processor.deadline.ms={}",
          crumb->processor(), took_ms, deadline_ms_);
      log::stop();
      std::abort();
    }
  }
}

}  // namespace millrace::processors
