#include "processors/host/watchdog.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <unistd.h>
#include <utility>

#include "base/log.h"

namespace millrace::processors {
namespace {

[[noreturn]] void end_broker() {
  log::stop();
  std::abort();
}

// 0 if it cannot be told.
int64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  int64_t total = 0;
  int64_t resident = 0;
  in >> total >> resident;
  return in ? resident * ::sysconf(_SC_PAGESIZE) : 0;
}

// Pages that a thread of this process was the first to touch, since it began: proc(5), field 10 of its stat.
int64_t faults_of(int32_t thread) {
  constexpr int field = 7;  // behind the name, which may hold anything
  std::ifstream in(fmt::format("/proc/self/task/{}/stat", thread));
  std::string text;
  std::getline(in, text);
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  size_t at = name_end + 1;
  for (int i = 0; i < field && at != std::string::npos; ++i) at = text.find(' ', at + 1);
  return at == std::string::npos ? 0 : std::strtoll(text.c_str() + at, nullptr, 10);
}

}  // namespace

watchdog::watchdog(int64_t deadline_ms, int64_t growth_max_bytes)
    : deadline_ms_(deadline_ms),
      growth_max_bytes_(growth_max_bytes),
      thread_([this] { look_after_them(); }) {}

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
  all_.push_back({.crumb = std::move(crumb)});
}

void watchdog::look_after_them() {
  // Often enough that what leaks as fast as it can does not get far.
  const auto interval = std::chrono::milliseconds(std::clamp<int64_t>(deadline_ms_ / 4, 20, 200));
  std::unique_lock held(lock_);
  while (!stopped_.wait_for(held, interval, [this] { return is_stopping_; })) {
    for (const watched& w : all_) check_deadline(*w.crumb);
    if (growth_max_bytes_ > 0) check_growth();
  }
}

void watchdog::check_deadline(breadcrumb& crumb) const {
  const int64_t took_ms = crumb.in_call_ms();
  if (took_ms <= deadline_ms_) return;
  crumb.blame(verdict_deadline);
  log::error("processor does not return; ending the broker processor={} since_ms={} processor.deadline.ms={}",
             crumb.processor(), took_ms, deadline_ms_);
  end_broker();
}

void watchdog::check_growth() {
  int64_t resident = 0;
  watched* worst = nullptr;
  int64_t worst_faults = 0;
  int64_t growth = 0;
  for (watched& w : all_) {
    const int64_t since = w.crumb->in_call_since();
    if (since == 0) continue;
    if (resident == 0) resident = resident_bytes();
    const int64_t faults = faults_of(w.crumb->thread());
    if (w.since != since) {
      w.since = since;
      w.resident_bytes = resident;
      w.faults = faults;
      continue;
    }
    growth = std::max(growth, resident - w.resident_bytes);
    if (worst && faults - w.faults <= worst_faults) continue;
    worst = &w;
    worst_faults = faults - w.faults;
  }
  if (!worst || growth <= growth_max_bytes_) return;
  worst->crumb->blame(verdict_leak);
  log::error(
      "processor uses up the memory; ending the broker processor={} grown_bytes={} "
      "processor.call.memory.max.bytes={}",
      worst->crumb->processor(), growth, growth_max_bytes_);
  end_broker();
}

}  // namespace millrace::processors
