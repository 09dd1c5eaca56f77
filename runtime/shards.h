// shards: one reactor and one thread per core, and calls between them.
//
// State belongs to one shard; whoever else needs it sends a function there and gets the answer back:
//
//   auto end = co_await call_on(owner, [id] { return store().find(id)->log_end(); });
//
// The function runs on the target shard's thread. It may return a value, or a task, which is then run
// there to its end. Function and result live in the caller's frame, which does not move until the
// answer is back: so sending allocates nothing, and captures stay valid for all of the call even if
// the function is a coroutine lambda. Calls from one shard to another start in the order of sending.
// A call to one's own shard runs at once, without the queue.
//
// The peer is woken (one write to its eventfd) only if it sleeps.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "runtime/probe.h"
#include "runtime/reactor.h"
#include "runtime/task.h"

namespace millrace::runtime {

namespace detail {

template <class T>
struct unwrap_task {
  using type = T;
  static constexpr bool is_task = false;
};
template <class T>
struct unwrap_task<task<T>> {
  using type = T;
  static constexpr bool is_task = true;
};

// The request on its way out and the answer on its way back: one node, used twice.
template <class F>
struct remote_call : message {
  using returned = std::invoke_result_t<F&>;
  using value = typename unwrap_task<returned>::type;
  struct nothing {};
  using slot = std::conditional_t<std::is_void_v<value>, nothing, std::optional<value>>;

  remote_call(F& f, reactor& to) : function(f), target(to), home(reactor::current()) {}

  F& function;
  reactor& target;
  reactor& home;
  std::coroutine_handle<> caller;
  slot answer;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) noexcept {
    caller = h;
    run = [](message& self) { static_cast<remote_call&>(self).arrive(); };
    target.push_message(*this);
  }
  value await_resume() {
    if constexpr (!std::is_void_v<value>) return std::move(*answer);
  }

  // On the target.
  void arrive() {
    if constexpr (unwrap_task<returned>::is_task) {
      drive(*this).handle.resume();
    } else {
      if constexpr (std::is_void_v<value>) {
        function();
      } else {
        answer.emplace(function());
      }
      send_back();
    }
  }
  static detached drive(remote_call& self) {
    {
      auto work = self.function();
      if constexpr (std::is_void_v<value>) {
        co_await work;
      } else {
        self.answer.emplace(co_await work);
      }
    }
    self.send_back();
  }
  void send_back() {
    run = [](message& self) {
      auto& call = static_cast<remote_call&>(self);
      call.home.resume_later(call.caller);
    };
    home.push_message(*this);
  }
};

}  // namespace detail

// Runs `function` on shard `to` and yields what it returns (or what the task it returns yields).
template <class F>
task<typename detail::unwrap_task<std::invoke_result_t<F&>>::type> call_on(shard_id to, F function) {
  reactor& here = reactor::current();
  MR_ASSERT(to.value() < here.peers().size());
  if (to == here.id()) {
    if constexpr (detail::unwrap_task<std::invoke_result_t<F&>>::is_task) {
      auto work = function();
      co_return co_await work;
    } else {
      co_return function();
    }
  }
  detail::remote_call<F> call(function, *here.peers()[to.value()]);
  co_return co_await call;
}

inline uint32_t shard_count() noexcept {
  return static_cast<uint32_t>(reactor::current().peers().size());
}

// Runs `make(shard)` on every shard side by side and waits for all. `make` is called on its shard and
// returns task<void>; it is shared by all of them, so it must be safe to call from several threads.
task<void> on_every_shard(std::function<task<void>(shard_id)> make);

struct shards_options {
  uint32_t count = 1;
  backend_choice io = backend_choice::automatic;
  bool pin_threads = false;  // shard i to core i
};

// The shards of this process: threads 0..count-1, each in its loop until stop().
class shards {
 public:
  static result<std::unique_ptr<shards>> start(shards_options options);
  shards(const shards&) = delete;
  shards& operator=(const shards&) = delete;
  ~shards();

  uint32_t count() const noexcept { return static_cast<uint32_t>(peers_.size()); }
  // Which backend was chosen.
  std::string_view backend_name() const noexcept { return backend_name_; }

  // From a thread that is not a shard: runs `make()` on shard `on` and blocks until its task is done.
  template <class T>
  T run(std::function<task<T>()> make, shard_id on = shard_id(0));
  // Any thread.
  void post(shard_id on, unique_function f) { peers_[on.value()]->post_from_anywhere(std::move(f)); }

  // Ends all loops and joins the threads. Requires: everything spawned has ended.
  void stop();

 private:
  shards() = default;
  struct start_up;
  void run_thread(uint32_t index, const shards_options& options, std::shared_ptr<start_up> together);
  void run_blocking(shard_id on, std::function<task<void>()> make);

  std::vector<std::unique_ptr<reactor>> reactors_;
  std::vector<reactor*> peers_;  // the same, for everybody to look at
  std::vector<std::thread> threads_;
  std::string backend_name_;
};

template <class T>
T shards::run(std::function<task<T>()> make, shard_id on) {
  if constexpr (std::is_void_v<T>) {
    run_blocking(on, std::move(make));
  } else {
    std::optional<T> value;
    struct store {
      static task<void> into(std::function<task<T>()>& make, std::optional<T>& value) {
        auto work = make();
        value.emplace(co_await work);
      }
    };
    run_blocking(on, [&] { return store::into(make, value); });
    return std::move(*value);
  }
}

}  // namespace millrace::runtime
