#include "broker/server/request_memory.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "runtime/timer.h"

namespace millrace::broker {

request_memory::~request_memory() {
  MR_ASSERT(waiting_.empty());
  MR_ASSERT(available_ == capacity_);
}

request_memory::charge::charge(charge&& other) noexcept
    : from_(other.from_), held_(std::exchange(other.held_, 0)) {}

request_memory::charge& request_memory::charge::operator=(charge&& other) noexcept {
  charge taken = std::move(other);
  std::swap(from_, taken.from_);
  std::swap(held_, taken.held_);
  return *this;
}

runtime::task<bool> request_memory::charge::grow_to(int64_t bytes, runtime::nanoseconds patience) {
  // One request may be larger than everything; then it has to be the only one.
  const int64_t wanted = std::min(std::max<int64_t>(0, bytes - free_bytes), from_->capacity_);
  const int64_t more = wanted - held_;
  if (more <= 0) co_return true;
  if (from_->waiting_.empty() && from_->available_ >= more) {
    from_->available_ -= more;
    held_ += more;
    co_return true;
  }
  waiter self{.bytes = more};
  const auto place = from_->waiting_.insert(from_->waiting_.end(), &self);
  {
    runtime::timer impatience([&self] { self.done.set(); });
    impatience.arm_after(patience);
    co_await self.done.wait();
  }
  if (!self.is_served) {
    from_->waiting_.erase(place);
    from_->serve_waiters();
    co_return false;
  }
  held_ += more;
  co_return true;
}

void request_memory::charge::release() noexcept {
  if (held_ == 0) return;
  from_->available_ += std::exchange(held_, 0);
  from_->serve_waiters();
}

void request_memory::serve_waiters() {
  while (!waiting_.empty() && available_ >= waiting_.front()->bytes) {
    waiter* first = waiting_.front();
    waiting_.pop_front();
    available_ -= first->bytes;
    first->is_served = true;
    first->done.set();
  }
}

}  // namespace millrace::broker
