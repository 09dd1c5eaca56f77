// machine and step: what a coordinator is to the framework that runs it.
//
// A coordinator (groups today; transactions and share groups fit the same shape) is a state machine
// without threads, disks or clocks. Its handlers are functions of (state, request, now) and say what
// should follow by writing it into a `step`:
//
//     records   what changes for good. emit() applies a record at once by machine::replay, the only code
//               that changes durable state, live and at start alike; after the handler they are appended
//               to the log as one batch, all or nothing.
//     replies   answers to this request or to earlier ones that were kept waiting. They leave when the
//               records of this and of all earlier steps are durable, so no client ever sees something
//               that a power cut could unsay; a handler that only reads answers through the same gate.
//     timers    named points in time at which on_timer is called.
//
// State that is deliberately not durable (who waits in a rebalance, when a session ends) is changed by
// handlers directly and set up anew from the durable half by on_loaded.
//
// A failed append leaves durable state ahead of the log. The machine is then cleared and the log
// replayed: there is no rollback, and so no second way to reach a state.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "broker/coord/record.h"
#include "broker/coord/reply.h"

namespace millrace::broker::coord {

// Now, by two clocks: the monotonic one drives timers, the wall clock is only ever written into records.
struct instant {
  int64_t steady_ms = 0;
  int64_t wall_ms = 0;
};

// Names a timer. What the parts mean is the machine's business.
struct timer_key {
  uint8_t kind = 0;
  std::string subject;  // a group, a transactional id
  std::string part;     // a member of it, or empty

  auto operator<=>(const timer_key&) const = default;
};

class step;

class machine {
 public:
  virtual ~machine() = default;

  // Applies one record. Fails only on bytes that no version of ours or Kafka's writes; records of
  // unknown types are skipped, as other coordinators may share a log.
  virtual result<void> replay(bytes_view key, std::optional<bytes_view> value) = 0;
  // Every record of the log was replayed: set up what is not durable.
  virtual void on_loaded(step& s) = 0;
  virtual void on_timer(const timer_key& key, step& s) = 0;
  // Emits what is durable once more, unchanged, as far as the step has room: everything from `from` on, which
  // is empty at first and then what the call before gave. Nothing: that was all. Other steps may come in
  // between. Once all calls are durable, whatever the log held before the first is not needed any more.
  virtual std::optional<std::string> rewrite(const std::string& from, step& s) = 0;
  // Forgets everything. Replies that were kept are dropped and so answered NOT_COORDINATOR.
  virtual void clear() = 0;
};

class step {
 public:
  // `bytes_max`: what fits into one batch of the log.
  step(machine& target, instant now, size_t bytes_max)
      : machine_(target), now_(now), bytes_left_(static_cast<int64_t>(bytes_max)) {}
  step(const step&) = delete;
  step& operator=(const step&) = delete;

  instant now() const noexcept { return now_; }

  // Whether `r` can still be emitted. A handler asks before it changes anything.
  bool has_room_for(const record& r) const noexcept { return has_room(r.bytes_max()); }
  bool has_room(size_t bytes) const noexcept { return static_cast<int64_t>(bytes) <= bytes_left_; }
  // Requires: has_room_for(r).
  void emit(record r);

  // For tests.
  const std::vector<record>& emitted() const noexcept { return records_; }

  // `to` becomes empty; the caller gets `value` once everything so far is durable.
  template <class T>
  void answer(reply_to<T>&& to, std::type_identity_t<result<T>> value) {
    MR_ASSERT(to);
    replies_.emplace_back(
        [to = std::move(to), value = std::move(value)]() mutable { to.send(std::move(value)); });
  }

  // Replaces the timer of that name, if there is one.
  void set_timer(timer_key key, int64_t steady_ms) { timers_.emplace_back(std::move(key), steady_ms); }
  void cancel_timer(timer_key key) { timers_.emplace_back(std::move(key), std::nullopt); }

 private:
  friend class engine;

  machine& machine_;
  const instant now_;
  int64_t bytes_left_;
  std::vector<record> records_;
  std::vector<std::move_only_function<void()>> replies_;
  std::vector<std::pair<timer_key, std::optional<int64_t>>> timers_;
};

}  // namespace millrace::broker::coord
