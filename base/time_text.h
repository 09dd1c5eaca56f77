// time_text: moments as people write them.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace millrace {

// Milliseconds since 1970 of a number of them, or of an RFC 3339 date or time: "2026-01-31T12:00:00Z"; a date
// alone, seconds with a fraction and a zone like +01:00 work too (UTC if none is given).
// errc::invalid_argument.
result<int64_t> parse_time_ms(std::string_view text);

}  // namespace millrace
