// topic_pattern: a regular expression that stands for topics (SubscribedTopicRegex).
//
// RE2's syntax, as Kafka's RE2/J: no look-around, no back references, time linear in the topic's name, and
// memory bounded; an expression from a hostile client costs what its length costs and no more.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"

namespace re2 {
class RE2;
}

namespace millrace::broker::coord {

class topic_pattern {
 public:
  // errc::invalid_regular_expression, with what is wrong.
  static result<topic_pattern> compile(std::string_view text);

  topic_pattern(topic_pattern&&) noexcept;
  topic_pattern& operator=(topic_pattern&&) noexcept;
  ~topic_pattern();

  // Whether the whole name fits.
  bool matches(std::string_view topic) const;

 private:
  explicit topic_pattern(std::unique_ptr<re2::RE2> compiled);

  std::unique_ptr<re2::RE2> compiled_;
};

}  // namespace millrace::broker::coord
