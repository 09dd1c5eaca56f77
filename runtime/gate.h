// gate: holds work that nobody awaits, and waits for it at the end.
//
// Stopping a service has two problems: work still running may touch what is being destroyed, and new
// work may arrive meanwhile. A gate counts what it spawned, refuses more once closing, and close()
// returns when the last of it has ended. Whoever owns the state the work touches owns the gate:
//
//   connections_.spawn(serve(std::move(stream)));
//   ...
//   co_await connections_.close();
//
// Destroying a gate with work inside is an assertion failure.
#pragma once

#include <coroutine>
#include <cstddef>
#include <utility>

#include "base/assert.h"
#include "runtime/event.h"
#include "runtime/reactor.h"
#include "runtime/task.h"

namespace millrace::runtime {

class gate {
 public:
  gate() = default;
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;
  ~gate() { MR_ASSERT(count_ == 0); }

  // Starts `work` from the run queue (not before the caller's next suspension).
  // Requires: not closed. Whoever may race with close() asks is_closed() first.
  void spawn(task<void> work) {
    MR_ASSERT(!closed_);
    ++count_;
    reactor::current().resume_later(run(*this, std::move(work)).handle);
  }

  // Refuses new work and waits for what is inside. May be called more than once.
  task<void> close() {
    closed_ = true;
    if (count_ == 0) empty_.set();
    co_await empty_.wait();
  }

  bool is_closed() const noexcept { return closed_; }
  size_t count() const noexcept { return count_; }

 private:
  static detail::detached run(gate& self, task<void> work) {
    co_await work;
    // What the work held is freed before the gate says it has left.
    work = task<void>();
    if (--self.count_ == 0 && self.closed_) self.empty_.set();
  }

  size_t count_ = 0;
  bool closed_ = false;
  event empty_;
};

}  // namespace millrace::runtime
