// processor_thread: where the calls of one processor run that must not hold up its shard.
//
// One thread for a processor on a shard, made when the first call is handed to it; calls run one after
// another, in the order of asking. So a slow processor waits for itself and for nobody else. What a call
// touches (an instance, its state) belongs to the thread from run() until it returns, and to the shard again
// from then on.
//
// In tests without threads of their own (the simulator) calls are handed to the shard's backend, which runs
// them whenever it likes.
#pragma once

#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "processors/host/breadcrumb.h"
#include "processors/isolation/guest_process.h"
#include "runtime/inbox.h"
#include "runtime/reactor.h"
#include "runtime/task.h"

namespace millrace::processors {

class processor_thread {
 public:
  // `crumb` may be null. It is the thread's own: shards note their calls elsewhere.
  processor_thread(std::string name, bool has_thread, std::shared_ptr<breadcrumb> crumb,
                   std::chrono::milliseconds deadline)
      : name_(std::move(name)),
        has_thread_(has_thread),
        crumb_(std::move(crumb)),
        process_(std::make_shared<guest_process>(deadline)) {}
  // Requires: no run() is under way.
  ~processor_thread();
  processor_thread(const processor_thread&) = delete;
  processor_thread& operator=(const processor_thread&) = delete;

  // Runs `work` there; returns, on the calling shard, when that is done.
  runtime::task<void> run(std::move_only_function<void()> work);

  // No run() is under way.
  bool is_idle() const { return under_way_ == 0; }
  breadcrumb* crumb() const { return crumb_.get(); }
  // For code that runs in a process; that is used on this thread alone.
  const std::shared_ptr<guest_process>& process() const { return process_; }

 private:
  // One call on its way there and back.
  struct job : runtime::message {
    explicit job(processor_thread& t, std::move_only_function<void()>& w)
        : thread(t), work(w), home(runtime::reactor::current()) {}
    processor_thread& thread;
    std::move_only_function<void()>& work;
    runtime::reactor& home;
    std::coroutine_handle<> caller;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h);
    void await_resume() const noexcept {}
  };
  void serve();

  const std::string name_;
  const bool has_thread_;
  const std::shared_ptr<breadcrumb> crumb_;
  const std::shared_ptr<guest_process> process_;
  uint32_t under_way_ = 0;
  std::mutex lock_;
  std::condition_variable changed_;
  std::deque<job*> jobs_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace millrace::processors
