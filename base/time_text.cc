#include "base/time_text.h"

#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <time.h>

namespace millrace {

namespace {

// "Z", "", "+01:00", "-0530" as milliseconds east of Greenwich.
std::optional<int64_t> zone_ms(std::string_view text) {
  if (text.empty() || text == "Z" || text == "z") return 0;
  if (text[0] != '+' && text[0] != '-') return std::nullopt;
  int hours = 0, minutes = 0, used = 0;
  const std::string digits(text.substr(1));
  const bool is_good = (sscanf(digits.c_str(), "%2d:%2d%n", &hours, &minutes, &used) == 2 ||
                        sscanf(digits.c_str(), "%2d%2d%n", &hours, &minutes, &used) == 2) &&
                       static_cast<size_t>(used) == digits.size() && hours < 24 && minutes < 60;
  if (!is_good) return std::nullopt;
  const int64_t ms = (hours * 60 + minutes) * 60'000;
  return text[0] == '-' ? -ms : ms;
}

// The fraction that `text` begins with, if any; moves past it.
int64_t take_fraction_ms(std::string_view& text) {
  if (!text.starts_with(".")) return 0;
  text.remove_prefix(1);
  int64_t ms = 0;
  for (int64_t unit = 100; !text.empty() && text[0] >= '0' && text[0] <= '9';
       unit /= 10, text.remove_prefix(1)) {
    ms += unit * (text[0] - '0');
  }
  return ms;
}

}  // namespace

result<int64_t> parse_time_ms(std::string_view text) {
  int64_t ms = 0;
  const auto [number_end, code] = std::from_chars(text.data(), text.data() + text.size(), ms);
  if (code == std::errc() && number_end == text.data() + text.size()) return ms;
  const std::string copy(text);
  for (const char* pattern : {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"}) {
    struct tm parts = {};
    const char* end = strptime(copy.c_str(), pattern, &parts);
    if (end == nullptr) continue;
    std::string_view rest(end);
    const int64_t fraction_ms = take_fraction_ms(rest);
    const auto zone = zone_ms(rest);
    if (!zone) continue;
    return static_cast<int64_t>(timegm(&parts)) * 1000 + fraction_ms - *zone;
  }
  return fail(errc::invalid_argument, "'{}' is no time; write milliseconds or 2026-01-31T12:00:00Z", text);
}

}  // namespace millrace
