// timer: a callback at a point of monotonic time, cheap to move.
//
// Timers sit in a heap of their reactor. Moving one to a later time, which is what connection and
// session timeouts do with every request, only writes a field: the heap finds out when the old time
// comes. So millions of re-arms a second are affordable, and an idle timer costs nothing.
//
// A timer belongs to the shard on which it was constructed and is used there only. The callback runs
// from the reactor's loop, never from inside arm(). Destroying an armed timer cancels it; a callback
// may arm, cancel or destroy its own timer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "runtime/clock.h"

namespace millrace::runtime {

class timer;

// The timers of one reactor, ordered by time and then by order of arming.
class timer_queue {
 public:
  timer_queue() = default;
  timer_queue(const timer_queue&) = delete;
  timer_queue& operator=(const timer_queue&) = delete;
  ~timer_queue();

  bool empty() const noexcept { return heap_.empty(); }
  size_t size() const noexcept { return heap_.size(); }
  // No timer fires before this; it may be earlier than the first real deadline, never later.
  time_point next() const noexcept { return heap_.empty() ? time_never : heap_.front().at; }
  // The first real deadline; settles timers that were moved to later.
  time_point settled_next();
  // Runs the callbacks of all timers due at `now`; returns how many.
  size_t fire(time_point now);

 private:
  friend class timer;
  struct entry {
    time_point at;
    uint64_t order;
    timer* owner;
  };

  void insert(timer& t);
  void remove(timer& t);
  void sift_up(size_t i);
  void sift_down(size_t i);
  void place(size_t i, const entry& e);
  // Moves the front entry to its owner's real deadline if that is later. True if it did.
  bool settle_front();

  std::vector<entry> heap_;
  uint64_t armed_count_ = 0;
};

class timer {
 public:
  using callback = std::move_only_function<void()>;

  // On the current reactor.
  explicit timer(callback on_fire);
  timer(timer_queue& queue, callback on_fire);
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;
  ~timer();

  // (Re-)arms; an earlier arming is forgotten.
  void arm(time_point at);
  void arm_after(nanoseconds delay);
  void cancel() noexcept;
  bool is_armed() const noexcept { return deadline_ != time_never; }
  time_point deadline() const noexcept { return deadline_; }

 private:
  friend class timer_queue;
  static constexpr size_t not_queued = ~size_t{0};

  timer_queue& queue_;
  callback on_fire_;
  time_point deadline_ = time_never;
  uint64_t order_ = 0;
  size_t index_ = not_queued;
  bool* destroyed_ = nullptr;  // set while the callback runs
};

}  // namespace millrace::runtime
