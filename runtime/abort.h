// abort_source: asking for an end, as something one subscribes to.
//
// Whoever may want to stop a piece of work owns the source; the work subscribes a callback (often:
// "set this event", "shut this stream down") or asks is_aborted() between steps. A request is final.
// One shard only. The source must outlive nothing: subscriptions survive it and simply never fire.
#pragma once

#include <functional>
#include <utility>

namespace millrace::runtime {

class abort_source {
  struct link {
    link* next = this;
    link* previous = this;
    link() = default;
    link(const link&) = delete;
    link& operator=(const link&) = delete;
    void insert_before(link& position) noexcept {
      next = &position;
      previous = position.previous;
      previous->next = this;
      position.previous = this;
    }
    void unlink() noexcept {
      next->previous = previous;
      previous->next = next;
      next = previous = this;
    }
  };

 public:
  // Runs its callback at most once, when the abort is requested; leaving scope unsubscribes.
  class [[nodiscard]] subscription : link {
   public:
    using callback = std::move_only_function<void()>;

    // If the abort was requested already, the callback runs at once.
    subscription(abort_source& source, callback on_abort) : on_abort_(std::move(on_abort)) {
      if (source.aborted_) {
        on_abort_();
      } else {
        insert_before(source.subscribers_);
      }
    }
    ~subscription() { unlink(); }

   private:
    friend class abort_source;
    callback on_abort_;
  };

  abort_source() = default;
  abort_source(const abort_source&) = delete;
  abort_source& operator=(const abort_source&) = delete;
  ~abort_source() {
    while (subscribers_.next != &subscribers_) subscribers_.next->unlink();
  }

  // Runs all callbacks, in order of subscription. Callbacks may subscribe and unsubscribe.
  void request_abort() {
    if (aborted_) return;
    aborted_ = true;
    while (subscribers_.next != &subscribers_) {
      auto* first = static_cast<subscription*>(subscribers_.next);
      first->unlink();
      // The callback may end its own subscription; what runs must not be inside it.
      auto on_abort = std::move(first->on_abort_);
      on_abort();
    }
  }

  bool is_aborted() const noexcept { return aborted_; }

  // `auto s = source.subscribe([&] { ... });`
  subscription subscribe(subscription::callback on_abort) { return subscription(*this, std::move(on_abort)); }

 private:
  link subscribers_;
  bool aborted_ = false;
};

}  // namespace millrace::runtime
