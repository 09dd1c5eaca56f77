#include "tools/kafka/start_position.h"

#include <cstdio>
#include <optional>
#include <time.h>

#include "tools/kafka/topics.h"
#include "tools/text/number.h"
#include "tools/text/suggest.h"

namespace millrace::tools {

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
  if (const auto ms = to_number(text)) return *ms;
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

result<start_position> start_position::parse(std::string_view text) {
  if (text == "beginning" || text == "earliest") return start_position(kind::beginning, 0);
  if (text == "end" || text == "latest") return start_position(kind::end, 0);
  if (text == "stored") return start_position(kind::stored, 0);
  if (text.starts_with("@") || text.starts_with("s@")) {
    const auto ms = parse_time_ms(text.substr(text.find('@') + 1));
    if (!ms) return fail(ms.error());
    return start_position(kind::time, *ms);
  }
  const auto number = to_number(text);
  if (!number) {
    return fail(
        errc::invalid_argument,
        "'{}' is no position{}; there are beginning, end, stored, an offset, -N (the last N) and @TIME", text,
        did_you_mean(text, {"beginning", "end", "stored"}));
  }
  return *number < 0 ? start_position(kind::tail, -*number) : start_position(kind::offset, *number);
}

std::string_view start_position::as_reset_policy() const noexcept {
  if (kind_ == kind::beginning || kind_ == kind::stored) return "earliest";
  return kind_ == kind::end ? "latest" : "";
}

result<std::vector<int64_t>> start_position::resolve(handle& client, const std::string& topic,
                                                     const std::vector<int32_t>& partitions) const {
  const auto all = [&](int64_t offset) { return std::vector<int64_t>(partitions.size(), offset); };
  switch (kind_) {
    case kind::beginning:
      return all(RD_KAFKA_OFFSET_BEGINNING);
    case kind::end:
      return all(RD_KAFKA_OFFSET_END);
    case kind::stored:
      return all(RD_KAFKA_OFFSET_STORED);
    case kind::offset:
      return all(number_);
    case kind::tail:
      return all(RD_KAFKA_OFFSET_TAIL(number_));
    case kind::time:
      return offsets_at(client, topic, partitions, number_);
  }
  return all(RD_KAFKA_OFFSET_BEGINNING);
}

}  // namespace millrace::tools
