// event and condition: waiting for something that happens on the same shard.
//
// An event is a flag with waiters: set() lets everybody through until reset(). A condition has no
// memory: notify wakes who waits now, and the woken look at the state again in a loop:
//
//   while (queue.empty() && !stopping) co_await changed.wait();
//
// Woken coroutines go to the run queue; they never run inside set() or notify. Neither may be
// destroyed while somebody waits. For a wait with a time limit arm a timer that sets the event.
#pragma once

#include <coroutine>

#include "base/assert.h"
#include "runtime/reactor.h"

namespace millrace::runtime {

namespace detail {

struct waiter {
  waiter* next = nullptr;
  std::coroutine_handle<> handle;
};

// First-in first-out list of suspended coroutines; the nodes live in their frames.
class wait_queue {
 public:
  wait_queue() = default;
  wait_queue(const wait_queue&) = delete;
  wait_queue& operator=(const wait_queue&) = delete;
  ~wait_queue() { MR_ASSERT(first_ == nullptr); }

  bool empty() const noexcept { return first_ == nullptr; }
  void push(waiter& w) noexcept {
    w.next = nullptr;
    (last_ ? last_->next : first_) = &w;
    last_ = &w;
  }
  bool wake_one() {
    waiter* w = first_;
    if (!w) return false;
    first_ = w->next;
    if (!first_) last_ = nullptr;
    reactor::current().resume_later(w->handle);
    return true;
  }
  void wake_all() {
    while (wake_one()) {
    }
  }

 private:
  waiter* first_ = nullptr;
  waiter* last_ = nullptr;
};

}  // namespace detail

class event {
 public:
  void set() {
    set_ = true;
    waiters_.wake_all();
  }
  void reset() noexcept { set_ = false; }
  bool is_set() const noexcept { return set_; }

  auto wait() noexcept {
    struct awaiter : detail::waiter {
      explicit awaiter(event& e) noexcept : owner(e) {}
      bool await_ready() const noexcept { return owner.set_; }
      void await_suspend(std::coroutine_handle<> h) noexcept {
        handle = h;
        owner.waiters_.push(*this);
      }
      void await_resume() const noexcept {}
      event& owner;
    };
    return awaiter(*this);
  }

 private:
  bool set_ = false;
  detail::wait_queue waiters_;
};

class condition {
 public:
  void notify_one() { waiters_.wake_one(); }
  void notify_all() { waiters_.wake_all(); }
  bool has_waiters() const noexcept { return !waiters_.empty(); }

  auto wait() noexcept {
    struct awaiter : detail::waiter {
      explicit awaiter(condition& c) noexcept : owner(c) {}
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> h) noexcept {
        handle = h;
        owner.waiters_.push(*this);
      }
      void await_resume() const noexcept {}
      condition& owner;
    };
    return awaiter(*this);
  }

 private:
  detail::wait_queue waiters_;
};

}  // namespace millrace::runtime
