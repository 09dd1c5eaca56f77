// inbox: what other threads hand to a shard.
//
// A message is a node inside an object that its sender keeps alive (most often the frame of the
// coroutine that waits for the answer), so sending allocates nothing and the number of messages is
// bounded by the number of waiting senders. Any thread pushes; the owning shard takes all at once.
// Messages of one sender arrive in the order of sending.
#pragma once

#include <atomic>

namespace millrace::runtime {

struct message {
  message* next = nullptr;
  // Runs on the receiving shard. The message may be gone when it returns.
  void (*run)(message& self) = nullptr;
};

class inbox {
 public:
  bool empty() const noexcept { return newest_.load(std::memory_order_seq_cst) == nullptr; }

  void push(message& m) noexcept {
    message* seen = newest_.load(std::memory_order_relaxed);
    do {
      m.next = seen;
    } while (!newest_.compare_exchange_weak(seen, &m, std::memory_order_seq_cst, std::memory_order_relaxed));
  }

  // All messages, oldest first, linked through `next`; null if there are none.
  message* take_all() noexcept {
    message* newest = newest_.exchange(nullptr, std::memory_order_acquire);
    message* oldest_first = nullptr;
    while (newest) {
      message* older = newest->next;
      newest->next = oldest_first;
      oldest_first = newest;
      newest = older;
    }
    return oldest_first;
  }

 private:
  std::atomic<message*> newest_{nullptr};
};

}  // namespace millrace::runtime
