#include "tools/text/duration.h"

#include <charconv>

namespace millrace::tools {

namespace {

constexpr int64_t longest_ms = int64_t{1000} * 365 * 24 * 3600 * 1000;  // a thousand years

// 0: there is no such unit.
int64_t unit_ms(std::string_view unit) {
  if (unit == "ms") return 1;
  if (unit == "s" || unit == "S") return 1000;
  if (unit == "m" || unit == "M") return 60'000;
  if (unit == "h" || unit == "H") return 3'600'000;
  if (unit == "d" || unit == "D") return 86'400'000;
  if (unit == "w" || unit == "W") return 7 * 86'400'000;
  return 0;
}

}  // namespace

result<int64_t> parse_duration_ms(std::string_view text) {
  const auto wrong = [&] {
    return fail(errc::invalid_argument, "'{}' is no duration; write 90s, 15m, 1h30m, 7d or PT1H30M", text);
  };
  const bool is_iso = text.starts_with("P") || text.starts_with("p");
  std::string_view rest = is_iso ? text.substr(1) : text;
  if (rest.empty()) return wrong();
  int64_t total_ms = 0;
  bool is_time = !is_iso;  // in ISO's form M is a minute only after the T
  while (!rest.empty()) {
    if (is_iso && !is_time && (rest[0] == 'T' || rest[0] == 't')) {
      is_time = true;
      rest.remove_prefix(1);
      if (rest.empty()) return wrong();
    }
    int64_t number = 0;
    const auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (code != std::errc() || number < 0 || end == rest.data()) return wrong();
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    size_t letters = 0;
    while (letters < rest.size() && (rest[letters] < '0' || rest[letters] > '9') && !(is_iso && letters == 1))
      ++letters;
    const std::string_view unit = rest.substr(0, letters);
    const int64_t factor = unit_ms(unit);
    const bool is_date_unit = unit == "d" || unit == "D" || unit == "w" || unit == "W";
    if (factor == 0 || (is_iso && is_time == is_date_unit)) return wrong();
    if (number > longest_ms / factor || total_ms + number * factor > longest_ms) return wrong();
    total_ms += number * factor;
    rest.remove_prefix(letters);
  }
  return total_ms;
}

}  // namespace millrace::tools
