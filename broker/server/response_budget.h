// response_budget: the bound on records that wait in memory to be sent, on one shard.
//
// A consumer that does not read its answers pins batches. When the budget is used up nobody is kept waiting:
// fetches get small answers until slow readers have caught up or were disconnected.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/assert.h"

namespace millrace::broker {

class response_budget {
 public:
  static constexpr int64_t small_answer_bytes = 64 * 1024;

  explicit response_budget(int64_t capacity_bytes) : available_(capacity_bytes) {}

  // How many bytes an answer may have. All of it is charged: give_back() what is not used.
  int64_t take(int64_t wanted_bytes) noexcept {
    const int64_t granted =
        wanted_bytes <= available_ ? wanted_bytes : std::min(wanted_bytes, small_answer_bytes);
    available_ -= granted;
    return granted;
  }
  void give_back(int64_t bytes) noexcept { available_ += bytes; }

 private:
  int64_t available_;
};

}  // namespace millrace::broker
