#include "runtime/timer.h"

#include <utility>

#include "base/assert.h"
#include "runtime/reactor.h"

namespace millrace::runtime {

namespace {

// A 4-ary heap: half the depth of a binary one, and the children share a cache line or two.
constexpr size_t arity = 4;

template <class Entry>
bool is_before(const Entry& a, const Entry& b) {
  return a.at != b.at ? a.at < b.at : a.order < b.order;
}

}  // namespace

timer_queue::~timer_queue() {
  for (entry& e : heap_) {
    e.owner->index_ = timer::not_queued;
    e.owner->deadline_ = time_never;
  }
}

void timer_queue::place(size_t i, const entry& e) {
  heap_[i] = e;
  e.owner->index_ = i;
}

void timer_queue::sift_up(size_t i) {
  const entry moving = heap_[i];
  while (i > 0) {
    const size_t parent = (i - 1) / arity;
    if (!is_before(moving, heap_[parent])) break;
    place(i, heap_[parent]);
    i = parent;
  }
  place(i, moving);
}

void timer_queue::sift_down(size_t i) {
  const entry moving = heap_[i];
  for (;;) {
    const size_t first_child = i * arity + 1;
    if (first_child >= heap_.size()) break;
    size_t least = first_child;
    for (size_t child = first_child + 1; child < first_child + arity && child < heap_.size(); ++child)
      if (is_before(heap_[child], heap_[least])) least = child;
    if (!is_before(heap_[least], moving)) break;
    place(i, heap_[least]);
    i = least;
  }
  place(i, moving);
}

void timer_queue::insert(timer& t) {
  heap_.push_back({t.deadline_, t.order_, &t});
  sift_up(heap_.size() - 1);
}

void timer_queue::remove(timer& t) {
  const size_t i = t.index_;
  MR_ASSERT(i < heap_.size() && heap_[i].owner == &t);
  t.index_ = timer::not_queued;
  const entry last = heap_.back();
  heap_.pop_back();
  if (last.owner == &t) return;
  place(i, last);
  sift_down(i);
  sift_up(last.owner->index_);
}

bool timer_queue::settle_front() {
  entry& front = heap_.front();
  if (front.owner->deadline_ == front.at && front.owner->order_ == front.order) return false;
  front.at = front.owner->deadline_;
  front.order = front.owner->order_;
  sift_down(0);
  return true;
}

time_point timer_queue::settled_next() {
  while (!heap_.empty() && settle_front()) {
  }
  return next();
}

size_t timer_queue::fire(time_point now) {
  // Timers armed by the callbacks themselves wait for the next turn, even with a deadline in the past.
  const uint64_t armed_before = armed_count_;
  size_t fired = 0;
  while (!heap_.empty() && heap_.front().at <= now) {
    if (settle_front()) continue;
    if (heap_.front().order > armed_before) break;
    timer& t = *heap_.front().owner;
    remove(t);
    t.deadline_ = time_never;
    ++fired;

    // The callback may destroy the timer it belongs to, and with it the function it is running in.
    bool destroyed = false;
    t.destroyed_ = &destroyed;
    timer::callback on_fire = std::move(t.on_fire_);
    on_fire();
    if (!destroyed) {
      t.destroyed_ = nullptr;
      t.on_fire_ = std::move(on_fire);
    }
  }
  return fired;
}

timer::timer(callback on_fire) : timer(reactor::current().timers(), std::move(on_fire)) {}

timer::timer(timer_queue& queue, callback on_fire) : queue_(queue), on_fire_(std::move(on_fire)) {}

timer::~timer() {
  cancel();
  if (destroyed_) *destroyed_ = true;
}

void timer::arm(time_point at) {
  deadline_ = at;
  order_ = ++queue_.armed_count_;
  if (index_ == not_queued) {
    queue_.insert(*this);
  } else if (at < queue_.heap_[index_].at) {
    queue_.heap_[index_].at = at;
    queue_.heap_[index_].order = order_;
    queue_.sift_up(index_);
  }
  // Moved to later: the heap entry stays where it is and is settled when it comes to the front.
}

void timer::arm_after(nanoseconds delay) {
  arm(reactor::current().now() + delay);
}

void timer::cancel() noexcept {
  deadline_ = time_never;
  if (index_ != not_queued) queue_.remove(*this);
}

}  // namespace millrace::runtime
