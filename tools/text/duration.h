// duration: how long ago, as people and Kafka's tools write it.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace millrace::tools {

// Milliseconds of "90s", "15m", "1h30m", "7d", "500ms" or of ISO 8601's "P1DT2H30M", "PT15S". No sign, no
// months.
result<int64_t> parse_duration_ms(std::string_view text);

}  // namespace millrace::tools
