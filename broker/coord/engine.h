// engine: runs one machine over one log: a partition of __consumer_offsets and the coordinator that lives on
// it.
//
// After Kafka's CoordinatorRuntime. A request runs its handler at once, its records are applied at once
// and handed to the log, and its replies wait in line until the log reports them durable. Requests that
// change nothing wait in the same line, behind the last write, so a read never tells of something that
// may still be lost. At start, and after a failed append, the log is replayed first; meanwhile every
// request is answered COORDINATOR_LOAD_IN_PROGRESS.
//
//                replay()…            finish_loading()
//     loading ───────────────► loading ───────────────► active ──┐ append or sync failed, stop()
//        ▲                                                        ▼
//        └──────────────── start_loading() ◄─────────────────── stopped
//
// Runs on: the shard that owns the partition; nothing here is thread-safe. The log and the clock are
// ports; tests put a vector and a counter behind them.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "broker/coord/machine.h"
#include "broker/coord/timer_queue.h"

namespace millrace::broker::coord {

// Where records go. Positions only grow; the owner calls engine::on_durable as they become durable.
class log_port {
 public:
  virtual ~log_port() = default;
  // Appends all of `records` as one batch or nothing.
  virtual result<uint64_t> append(std::span<const record> records, instant now) = 0;
  // What one batch can hold.
  virtual size_t batch_bytes_max() const = 0;
};

class clock_port {
 public:
  virtual ~clock_port() = default;
  virtual instant now() = 0;
  // Ensures: engine::run_timers is called at `steady_ms` or soon after. Replaces the previous wish.
  virtual void wake_at(int64_t steady_ms) = 0;
};

class engine {
 public:
  enum class phase { loading, active, stopped };

  engine(machine& target, log_port& log, clock_port& clock) : machine_(target), log_(log), clock_(clock) {}
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;
  ~engine();

  phase current_phase() const noexcept { return phase_; }

  // --- loading ---
  // Requires: loading. An error means that the log cannot be read by this version.
  result<void> replay(bytes_view key, std::optional<bytes_view> value);
  // Ensures: active.
  void finish_loading();
  // Requires: stopped.
  void start_loading();

  // --- requests ---
  // Calls handler(step&, reply_to<R>) unless the coordinator is not active, which is answered for it.
  template <class R, class Handler>
  void run(reply_to<R> reply, Handler&& handler) {
    if (phase_ != phase::active) {
      reply.send(fail(phase_ == phase::loading ? errc::coordinator_load_in_progress : errc::not_coordinator));
      return;
    }
    MR_ASSERT(!in_step_);
    step s(machine_, clock_.now(), log_.batch_bytes_max());
    in_step_ = true;
    std::forward<Handler>(handler)(s, std::move(reply));
    finish(s);
  }

  // --- calls of the ports' owners ---
  // Everything appended up to and including `position` survives a crash.
  void on_durable(uint64_t position);
  void run_timers();
  // The log can take no more, or the broker shuts down. Waiting callers are told NOT_COORDINATOR, the
  // machine forgets everything.
  void stop();

 private:
  struct parked {
    uint64_t position;
    std::vector<std::move_only_function<void()>> replies;
  };

  void finish(step& s);
  void rearm();

  machine& machine_;
  log_port& log_;
  clock_port& clock_;
  phase phase_ = phase::loading;
  bool in_step_ = false;
  timer_queue timers_;
  std::optional<int64_t> armed_ms_;
  uint64_t appended_ = 0;  // position of the last append; nothing is parked beyond it
  uint64_t durable_ = 0;
  std::deque<parked> parked_;  // positions never fall from front to back
};

}  // namespace millrace::broker::coord
