// channel: a bounded queue between coroutines of one shard.
//
// push() waits while it is full, pop() while it is empty. After close() pushes are refused and pops
// drain what is left, then yield nothing.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "runtime/event.h"
#include "runtime/task.h"

namespace millrace::runtime {

template <class T>
class channel {
 public:
  // Requires: capacity > 0.
  explicit channel(size_t capacity) : capacity_(capacity) { MR_ASSERT(capacity > 0); }

  // False if the channel is closed; the value is dropped then.
  task<bool> push(T value) {
    while (!closed_ && items_.size() >= capacity_) co_await not_full_.wait();
    if (closed_) co_return false;
    items_.push_back(std::move(value));
    not_empty_.notify_one();
    co_return true;
  }
  bool try_push(T value) {
    if (closed_ || items_.size() >= capacity_) return false;
    items_.push_back(std::move(value));
    not_empty_.notify_one();
    return true;
  }

  // Nothing once the channel is closed and drained.
  task<std::optional<T>> pop() {
    while (!closed_ && items_.empty()) co_await not_empty_.wait();
    co_return try_pop();
  }
  std::optional<T> try_pop() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> value(std::move(items_.front()));
    items_.pop_front();
    not_full_.notify_one();
    return value;
  }

  void close() {
    closed_ = true;
    not_empty_.notify_all();
    not_full_.notify_all();
  }
  bool is_closed() const noexcept { return closed_; }
  size_t size() const noexcept { return items_.size(); }

 private:
  size_t capacity_;
  bool closed_ = false;
  std::deque<T> items_;
  condition not_empty_;
  condition not_full_;
};

}  // namespace millrace::runtime
