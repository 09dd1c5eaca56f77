// features: what clients and tools look up before they use it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace millrace::broker {

// Levels that are finalized are in force.
struct feature {
  std::string_view name;
  int16_t min = 0;
  int16_t max = 0;
  int16_t finalized = 0;
};

inline constexpr std::array features = {
    feature{.name = "group.version", .max = 1, .finalized = 1},  // the consumer protocol (KIP-848)
};

}  // namespace millrace::broker
