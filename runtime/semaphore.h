// semaphore: a counted budget (bytes of request memory, concurrent reads) on one shard.
//
// First come, first served: a large request at the head is not overtaken by small ones behind it, so
// it cannot starve. Units may go below zero through charge(), for work whose cost is known too late
// to wait for; later acquirers then wait until it is paid back.
#pragma once

#include <coroutine>
#include <cstdint>
#include <utility>

#include "base/assert.h"
#include "runtime/reactor.h"
#include "runtime/task.h"

namespace millrace::runtime {

class semaphore {
 public:
  explicit semaphore(int64_t units) noexcept : available_(units) {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;
  ~semaphore() { MR_ASSERT(first_ == nullptr); }

  // Waits until `n` units are there and everybody before has been served, then takes them.
  task<void> acquire(int64_t n) {
    MR_ASSERT(n >= 0);
    request r(*this, n);
    co_await r;
  }
  bool try_acquire(int64_t n) noexcept {
    if (first_ || available_ < n) return false;
    available_ -= n;
    return true;
  }
  void charge(int64_t n) noexcept { available_ -= n; }
  void release(int64_t n) {
    MR_ASSERT(n >= 0);
    available_ += n;
    while (first_ && available_ >= first_->units_) {
      request* served = first_;
      first_ = served->next_;
      if (!first_) last_ = nullptr;
      available_ -= served->units_;
      reactor::current().resume_later(served->handle_);
    }
  }

  int64_t available() const noexcept { return available_; }
  bool has_waiters() const noexcept { return first_ != nullptr; }

 private:
  struct request {
    request(semaphore& s, int64_t n) noexcept : semaphore_(s), units_(n) {}
    semaphore& semaphore_;
    int64_t units_;
    request* next_ = nullptr;
    std::coroutine_handle<> handle_;

    bool await_ready() const noexcept { return semaphore_.try_acquire(units_); }
    void await_suspend(std::coroutine_handle<> h) noexcept {
      handle_ = h;
      (semaphore_.last_ ? semaphore_.last_->next_ : semaphore_.first_) = this;
      semaphore_.last_ = this;
    }
    void await_resume() const noexcept {}
  };

  int64_t available_;
  request* first_ = nullptr;
  request* last_ = nullptr;
};

// Gives units back when it leaves scope.
class [[nodiscard]] semaphore_units {
 public:
  semaphore_units() = default;
  // Takes over `n` units that were acquired from `s`.
  semaphore_units(semaphore& s, int64_t n) noexcept : semaphore_(&s), units_(n) {}
  semaphore_units(semaphore_units&& other) noexcept
      : semaphore_(std::exchange(other.semaphore_, nullptr)), units_(std::exchange(other.units_, 0)) {}
  semaphore_units& operator=(semaphore_units&& other) noexcept {
    semaphore_units taken = std::move(other);
    std::swap(semaphore_, taken.semaphore_);
    std::swap(units_, taken.units_);
    return *this;
  }
  ~semaphore_units() {
    if (semaphore_ && units_ > 0) semaphore_->release(units_);
  }
  int64_t units() const noexcept { return units_; }

 private:
  semaphore* semaphore_ = nullptr;
  int64_t units_ = 0;
};

}  // namespace millrace::runtime
