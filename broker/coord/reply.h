// reply_to<T>: the one right to answer a request, kept by whoever will answer it.
//
// A handler either answers in its own step or keeps the reply (a member that waits for the others to
// join) and lets a later step answer. It is answered exactly once: a second answer is a defect, and one
// that is dropped unanswered (the group was unloaded, the coordinator stopped) tells the caller
// NOT_COORDINATOR, on which every client looks for the coordinator again. Nobody waits for ever.
//
// The function inside must only hand the value over (set an event, push to a mailbox). It must not call
// the coordinator again: it may run in the middle of a step.
#pragma once

#include <functional>
#include <utility>

#include "base/assert.h"
#include "base/result.h"

namespace millrace::broker::coord {

template <class T>
class reply_to {
 public:
  using function = std::move_only_function<void(result<T>)>;

  reply_to() = default;
  explicit reply_to(function send) : send_(std::move(send)) {}
  reply_to(reply_to&& other) noexcept : send_(std::exchange(other.send_, nullptr)) {}
  reply_to& operator=(reply_to&& other) noexcept {
    if (this != &other) {
      drop();
      send_ = std::exchange(other.send_, nullptr);
    }
    return *this;
  }
  ~reply_to() { drop(); }

  explicit operator bool() const noexcept { return static_cast<bool>(send_); }

  // Requires: not answered yet. Handlers do not call this: they go through step::answer, which holds the
  // value back until everything it was computed from is durable.
  void send(result<T> value) {
    MR_ASSERT(send_);
    std::exchange(send_, nullptr)(std::move(value));
  }

 private:
  void drop() noexcept {
    if (send_) send(fail(errc::not_coordinator));
  }

  function send_;
};

}  // namespace millrace::broker::coord
