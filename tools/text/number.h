// number: a whole number and nothing else.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace millrace::tools {

// Decimal, with "-" or no sign; nothing if `text` is empty, has anything around the number, or is out of
// range.
inline std::optional<int64_t> to_number(std::string_view text) {
  int64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace millrace::tools
