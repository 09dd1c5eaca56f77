#include "tools/kafka/start_position.h"

#include "base/time_text.h"
#include "tools/kafka/topics.h"
#include "tools/text/number.h"
#include "tools/text/suggest.h"

namespace millrace::tools {

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
