#include "processors/host/processor_thread.h"

#include <pthread.h>

#include "base/assert.h"
#include "runtime/io_op.h"

namespace millrace::processors {

processor_thread::~processor_thread() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard held(lock_);
    MR_ASSERT(jobs_.empty());
    is_stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void processor_thread::job::await_suspend(std::coroutine_handle<> h) {
  caller = h;
  run = [](runtime::message& self) {
    auto& done = static_cast<job&>(self);
    done.home.resume_later(done.caller);
  };
  {
    const std::lock_guard held(thread.lock_);
    thread.jobs_.push_back(this);
  }
  thread.changed_.notify_all();
}

runtime::task<void> processor_thread::run(std::move_only_function<void()> work) {
  ++under_way_;
  if (!has_thread_) {
    std::move_only_function<int64_t()> call = [&work]() -> int64_t { return work(), 0; };
    runtime::io_op op(runtime::io_kind::call);
    op.out = &call;
    co_await op;
    --under_way_;
    co_return;
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { serve(); });
  job there(*this, work);
  co_await there;
  --under_way_;
}

void processor_thread::serve() {
  constexpr size_t thread_name_max = 15;
  pthread_setname_np(pthread_self(), name_.substr(0, thread_name_max).c_str());
  guard_thread();
  std::unique_lock held(lock_);
  for (;;) {
    changed_.wait(held, [this] { return is_stopping_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    job* next = jobs_.front();
    jobs_.pop_front();
    held.unlock();
    next->work();
    next->home.push_message(*next);  // and it is gone
    held.lock();
  }
}

}  // namespace millrace::processors
