// For tests of the SDK's stream level: a topology in the SDK's harness, and records by chance.
#pragma once

#include <gtest/gtest.h>
#include <millrace/harness.h>
#include <millrace/stream.h>
#include <string>
#include <vector>

namespace stream_kit {

using millrace::harness;

struct names {
  static const char* name() { return "tested"; }
  static const char* version() { return "1"; }
};

// The processor that a function builds.
template <void (*Build)(millrace::topology&)>
const millrace_processor* table_of() {
  return millrace::topology_entry<millrace::topology_traits<Build, names>>();
}

// Why it does not start.
template <void (*Build)(millrace::topology&)>
std::string refusal() {
  try {
    harness h(table_of<Build>());
    return "none";
  } catch (const millrace::failure& e) {
    return e.what();
  }
}

class dice {
 public:
  explicit dice(uint64_t seed) : state_(seed * 2654435761u + 1) {}
  int64_t below(int64_t limit) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<int64_t>((state_ >> 33) % static_cast<uint64_t>(limit));
  }

 private:
  uint64_t state_;
};

// Records of three keys whose values are their numbers ("0 ", "1 ", ...). Time goes on in small steps, stands
// still, jumps now and then, and many records come out of order, some of them much too late.
inline std::vector<harness::input> numbered(uint64_t seed, int count, int64_t step) {
  dice roll(seed);
  std::vector<harness::input> all;
  int64_t now = 1'000'000;
  for (int i = 0; i < count; ++i) {
    const int64_t what = roll.below(40);
    if (what == 0) now += step * 40;
    if (what > 8) now += roll.below(step);
    int64_t at = now;
    if (roll.below(3) == 0) at -= roll.below(step * 4);
    if (roll.below(12) == 0) at -= roll.below(step * 40);
    all.push_back({"k" + std::to_string(roll.below(3)), std::to_string(i) + " ", at, {}});
  }
  return all;
}

}  // namespace stream_kit
