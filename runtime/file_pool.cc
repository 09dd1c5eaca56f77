#include "runtime/file_pool.h"

#include <csignal>
#include <pthread.h>
#include <utility>

#include "runtime/blocking.h"

namespace millrace::runtime {

file_pool::file_pool(const char* name, size_t threads_max, std::function<void(io_op&)> finished)
    : name_(name), threads_max_(threads_max), finished_(std::move(finished)) {}

void file_pool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& t : threads_) t.join();
  threads_.clear();
}

void file_pool::submit(io_op& op) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push(op);
    ++waiting_count_;
    if (waiting_count_ > idle_count_ && threads_.size() < threads_max_) {
      // Signals are for the threads that ask for them, never for a helper.
      sigset_t all;
      sigset_t before;
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &before);
      threads_.emplace_back([this] { work(); });
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
  }
  changed_.notify_one();
}

void file_pool::work() {
  pthread_setname_np(pthread_self(), name_);
  std::unique_lock lock(mutex_);
  for (;;) {
    io_op* op = waiting_.pop();
    if (!op) {
      if (stopping_) return;
      ++idle_count_;
      changed_.wait(lock);
      --idle_count_;
      continue;
    }
    --waiting_count_;
    lock.unlock();
    op->result = perform_blocking(*op);
    finished_(*op);
    lock.lock();
  }
}

}  // namespace millrace::runtime
