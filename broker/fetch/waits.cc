#include "broker/fetch/waits.h"

#include <deque>

#include "runtime/event.h"
#include "runtime/timer.h"

namespace millrace::broker {
namespace {

int64_t end_of(const storage::partition_log& log, storage::read_bound bound) {
  return bound == storage::read_bound::high_watermark ? log.high_watermark().value()
                                                      : log.last_stable().value();
}

}  // namespace

class fetch_waits::waiter : public storage::log_watcher {
 public:
  void log_advanced(storage::partition_log&) override { move(); }
  void log_removed(storage::partition_log&) override { move(); }
  void give_up() { over_.set(); }

  runtime::task<bool> wait() {
    co_await over_.wait();
    co_return has_moved_;
  }

 private:
  void move() {
    has_moved_ = true;
    over_.set();
  }

  bool has_moved_ = false;
  runtime::event over_;
};

runtime::task<bool> fetch_waits::wait(storage::shard_store& store, token name,
                                      std::vector<awaited_partition> partitions,
                                      runtime::nanoseconds patience, runtime::abort_source& stopping) {
  waiter self;
  std::deque<storage::log_watch> watches;
  for (const awaited_partition& p : partitions) {
    storage::partition_log* log = store.find(p.id);
    if (log == nullptr || end_of(*log, p.bound) != p.seen_end) co_return true;
    watches.emplace_back(*log, self);
  }
  runtime::timer time_is_up([&self] { self.give_up(); });
  time_is_up.arm_after(patience);
  const auto on_stop = stopping.subscribe([&self] { self.give_up(); });
  parked_.emplace(name, &self);
  const bool has_moved = co_await self.wait();
  parked_.erase(name);
  co_return has_moved;
}

void fetch_waits::call_off(token name) {
  if (const auto found = parked_.find(name); found != parked_.end()) found->second->give_up();
}

}  // namespace millrace::broker
