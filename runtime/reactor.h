// reactor: the event loop of one shard.
//
// One thread, one backend, one run queue, one heap of timers, one inbox for other threads. A turn:
//   1. read the clocks once
//   2. take messages from other shards
//   3. fire timers that are due
//   4. run what is ready, up to a budget
//   5. submit and wait in one call: not at all if something is still ready, else until the next timer
//   6. collect completions on a list, and only then resume the coroutines that wait for them
// Nothing is ever resumed from inside a call that makes it ready: set(), release(), a completion or a
// message puts the coroutine on the run queue. So a caller's own state never changes under its feet.
//
// With nothing to do the thread sleeps in the kernel; there is no polling and no periodic tick.
//
// Everything is for the shard's own thread, except post_from_anywhere() and push_message().
#pragma once

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "base/assert.h"
#include "base/prng.h"
#include "base/types.h"
#include "runtime/abort.h"
#include "runtime/backend.h"
#include "runtime/clock.h"
#include "runtime/inbox.h"
#include "runtime/task.h"
#include "runtime/timer.h"

namespace millrace::runtime {

using unique_function = std::move_only_function<void()>;

struct reactor_options {
  shard_id id{0};
  uint64_t seed = 1;  // of random(); real shards take theirs from the kernel
  // A turn that keeps the loop busy for longer is reported; 0 switches the report off.
  nanoseconds stall_report = std::chrono::milliseconds(200);
};

class reactor {
 public:
  reactor(reactor_options options, std::unique_ptr<backend> io);
  reactor(const reactor&) = delete;
  reactor& operator=(const reactor&) = delete;
  // Requires: nothing spawned is still running.
  ~reactor();

  // The reactor whose code is running on this thread. Requires: there is one.
  static reactor& current() noexcept {
    MR_ASSERT(current_ != nullptr);
    return *current_;
  }
  static reactor* current_or_null() noexcept { return current_; }

  shard_id id() const noexcept { return options_.id; }
  // Monotonic, read once a turn.
  time_point now() const noexcept { return now_; }
  // Read once a turn. May jump; for timestamps only.
  int64_t wall_clock_ms() const noexcept { return wall_clock_ms_; }
  backend& io() noexcept { return *io_; }
  prng& random() noexcept { return random_; }
  timer_queue& timers() noexcept { return timers_; }

  // Runs `f` (resumes `h`) from the loop, in order of asking.
  void post(unique_function f);
  void resume_later(std::coroutine_handle<> h);

  task<void> sleep(nanoseconds delay);
  // False if the abort came first (or was there already).
  task<bool> sleep(nanoseconds delay, abort_source* abort);
  // Lets everything else that is ready run first.
  task<void> yield();

  // The reactors of this process by shard number, this one among them; one entry when it stands alone.
  std::span<reactor* const> peers() const noexcept { return peers_; }
  void set_peers(std::span<reactor* const> peers) noexcept { peers_ = peers; }

  // Runs the loop until `t` is done; returns its value. Requires: called outside of any coroutine, on
  // the thread that owns this reactor.
  template <class T>
  T run(task<T> t);
  // Runs the loop until stop().
  void run_until_stopped();
  // Any thread.
  void stop() noexcept;

  // One turn of the loop. `may_wait` = false never sleeps. True if anything ran.
  bool turn(bool may_wait);
  // Whether a turn would run something now. (The simulator asks.)
  bool has_work() const noexcept { return !ready_.empty() || !inbox_.empty() || timers_.next() <= now_; }

  // Any thread: hands a message over / runs `f` on this shard.
  void push_message(message& m) noexcept;
  void post_from_anywhere(unique_function f);

  // Makes this reactor the current one of the thread while in scope.
  class scope {
   public:
    explicit scope(reactor& r) noexcept : outer_(std::exchange(current_, &r)) {}
    scope(const scope&) = delete;
    scope& operator=(const scope&) = delete;
    ~scope() { current_ = outer_; }

   private:
    reactor* outer_;
  };

 private:
  // A coroutine to resume, or a function to call.
  struct ready_item {
    std::coroutine_handle<> handle;
    unique_function* function = nullptr;
  };

  template <class T, class Out>
  static detail::detached drive(task<T> t, Out& out, bool& done);
  void run_loop_until(const bool& done);
  size_t run_messages();
  size_t run_ready();
  void read_clocks() noexcept;
  void report_stall(nanoseconds busy);

  static thread_local reactor* current_;

  reactor_options options_;
  std::unique_ptr<backend> io_;
  prng random_;
  time_point now_{};
  int64_t wall_clock_ms_ = 0;
  timer_queue timers_;
  std::deque<ready_item> ready_;
  std::span<reactor* const> peers_;
  reactor* self_ = this;  // what peers_ shows when there are no others
  time_point last_stall_report_{};
  const bool* until_ = nullptr;  // what run() waits for

  inbox inbox_;
  std::atomic<bool> sleeping_{false};
  std::atomic<bool> stop_requested_{false};
};

// --- inline parts -----------------------------------------------------------------------------------

template <class T, class Out>
detail::detached reactor::drive(task<T> t, Out& out, bool& done) {
  if constexpr (std::is_void_v<T>) {
    co_await t;
  } else {
    out.emplace(co_await t);
  }
  done = true;
}

template <class T>
T reactor::run(task<T> t) {
  struct nothing {};
  std::conditional_t<std::is_void_v<T>, nothing, std::optional<T>> out;
  bool done = false;
  resume_later(drive<T>(std::move(t), out, done).handle);
  run_loop_until(done);
  if constexpr (!std::is_void_v<T>) return std::move(*out);
}

}  // namespace millrace::runtime
