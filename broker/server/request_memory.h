// request_memory: the bound on memory for requests that are being read or answered, on one shard.
//
// A request is charged for the bytes that have arrived, not for those its first four bytes announce, so a
// client has to send what it wants to occupy. The first few kilobytes of each are free: they are bounded by
// the number of connections, and so heartbeats and fetches get through while large produce requests wait. A
// request that finds no room waits its turn, but not for ever: two half-read requests may each wait for what
// the other holds, and then one has to go.
#pragma once

#include <cstdint>
#include <list>

#include "runtime/clock.h"
#include "runtime/event.h"
#include "runtime/task.h"

namespace millrace::broker {

class request_memory {
 public:
  static constexpr int64_t free_bytes = 16 * 1024;

  explicit request_memory(int64_t capacity_bytes) : capacity_(capacity_bytes), available_(capacity_bytes) {}
  request_memory(const request_memory&) = delete;
  request_memory& operator=(const request_memory&) = delete;
  ~request_memory();

  // What one request holds; gives it back at its end. Must not outlive the request_memory.
  class charge {
   public:
    explicit charge(request_memory& from) noexcept : from_(&from) {}
    charge(charge&& other) noexcept;
    charge& operator=(charge&& other) noexcept;
    ~charge() { release(); }

    // Makes the charge cover `bytes` in all. False: there was no room within `patience`.
    runtime::task<bool> grow_to(int64_t bytes, runtime::nanoseconds patience);
    void release() noexcept;

   private:
    request_memory* from_;
    int64_t held_ = 0;
  };

  int64_t used_bytes() const noexcept { return capacity_ - available_; }

 private:
  struct waiter {
    int64_t bytes;
    bool is_served = false;
    runtime::event done;
  };

  void serve_waiters();

  int64_t capacity_;
  int64_t available_;
  std::list<waiter*> waiting_;
};

}  // namespace millrace::broker
