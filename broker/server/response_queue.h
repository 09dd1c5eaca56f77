// response_queue: the answers of one connection, in the order of the requests.
//
//   slot      7      8      9      10          Work ends in any order; bytes leave in the order of slots.
//           [done] [done] [ -- ] [done]        Here 7 and 8 may be sent, 10 waits for 9.
//
// Runs on: the connection's shard.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/assert.h"
#include "base/buffer.h"

namespace millrace::broker {

class response_queue {
 public:
  struct answer {
    std::optional<iobuf> bytes;  // nothing: this request has no answer
    int64_t budget_bytes = 0;    // owed to the response budget once sent
  };

  // The place of the next request.
  uint64_t open() {
    slots_.emplace_back();
    return first_ + slots_.size() - 1;
  }
  // Requires: `slot` is open and not complete.
  void complete(uint64_t slot, answer a) {
    MR_ASSERT(slot >= first_ && slot - first_ < slots_.size());
    std::optional<answer>& place = slots_[slot - first_];
    MR_ASSERT(!place);
    place = std::move(a);
    ++complete_;
  }
  // The answers at the front that may be sent now, oldest first; they leave the queue.
  std::vector<answer> take_ready(size_t bytes_max) {
    std::vector<answer> ready;
    size_t bytes = 0;
    while (!slots_.empty() && slots_.front() && (ready.empty() || bytes < bytes_max)) {
      if (slots_.front()->bytes) bytes += slots_.front()->bytes->size();
      ready.push_back(*std::move(slots_.front()));
      slots_.pop_front();
      ++first_;
      --complete_;
    }
    return ready;
  }

  bool empty() const noexcept { return slots_.empty(); }
  size_t size() const noexcept { return slots_.size(); }
  bool has_ready() const noexcept { return !slots_.empty() && slots_.front().has_value(); }
  bool all_complete() const noexcept { return complete_ == slots_.size(); }

 private:
  std::deque<std::optional<answer>> slots_;
  uint64_t first_ = 0;
  size_t complete_ = 0;
};

}  // namespace millrace::broker
