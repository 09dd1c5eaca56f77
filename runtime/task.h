// task: a lazily started coroutine that returns one value to the coroutine that awaits it.
//
//   task<result<size_t>> copy(file& from, file& to);
//   ...
//   auto copied = co_await copy(a, b);
//
// Nothing runs until the task is awaited; then it runs on the awaiter's stack until its first
// suspension, and its end resumes the awaiter directly (symmetric transfer, so chains of any length
// use constant stack). A task is awaited at most once. To start work that nobody awaits, use a gate.
//
// A started task must run to its end: destroying one half-way is an assertion failure. The frame of
// a suspended coroutine may hold the very buffer the kernel is writing to, so there is no safe moment
// to cut it off. Cancellation is asking (abort_source, stream::shutdown) and then waiting.
//
// Exceptions do not cross a task: one that escapes ends the process. Expected failures are result<T>.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "base/assert.h"

namespace millrace::runtime {

template <class T = void>
class task;

namespace detail {

struct task_promise_base {
  std::coroutine_handle<> continuation = std::noop_coroutine();

  struct final_awaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      return self.promise().continuation;
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  final_awaiter final_suspend() const noexcept { return {}; }
  [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
};

template <class T>
struct task_promise : task_promise_base {
  std::optional<T> value;

  task<T> get_return_object() noexcept;
  template <class U = T>
  void return_value(U&& v) {
    value.emplace(std::forward<U>(v));
  }
  T take() {
    MR_ASSERT(value.has_value());
    return std::move(*value);
  }
};

template <>
struct task_promise<void> : task_promise_base {
  task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace detail

template <class T>
class [[nodiscard]] task {
 public:
  using promise_type = detail::task_promise<T>;
  using value_type = T;

  task() = default;
  task(task&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)), started_(std::exchange(other.started_, false)) {}
  task& operator=(task&& other) noexcept {
    task taken = std::move(other);
    std::swap(handle_, taken.handle_);
    std::swap(started_, taken.started_);
    return *this;
  }
  ~task() {
    if (!handle_) return;
    MR_ASSERT(!started_ || handle_.done());
    handle_.destroy();
  }

  explicit operator bool() const noexcept { return handle_ != nullptr; }

  // Starts the task and yields its value. Requires: not awaited before.
  auto operator co_await() noexcept {
    struct awaiter {
      std::coroutine_handle<promise_type> handle;

      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
        handle.promise().continuation = awaiting;
        return handle;
      }
      T await_resume() const { return handle.promise().take(); }
    };
    MR_ASSERT(handle_ && !started_);
    started_ = true;
    return awaiter{handle_};
  }

 private:
  friend promise_type;
  explicit task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_ = nullptr;
  bool started_ = false;
};

namespace detail {

template <class T>
task<T> task_promise<T>::get_return_object() noexcept {
  return task<T>(std::coroutine_handle<task_promise>::from_promise(*this));
}

inline task<void> task_promise<void>::get_return_object() noexcept {
  return task<void>(std::coroutine_handle<task_promise>::from_promise(*this));
}

// A coroutine without an owner: its frame frees itself at the end. Only the runtime's own spawners use
// it; everybody else spawns through a gate. It does not start by itself: resume `handle`.
struct detached {
  struct promise_type {
    detached get_return_object() noexcept {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

}  // namespace detail
}  // namespace millrace::runtime
