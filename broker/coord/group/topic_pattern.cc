#include "broker/coord/group/topic_pattern.h"

#include <re2/re2.h>

#include "broker/coord/group/ids.h"

namespace millrace::broker::coord {
namespace {

constexpr int64_t memory_bytes_max = 8 << 20;  // of one compiled expression and its automaton

}  // namespace

topic_pattern::topic_pattern(std::unique_ptr<re2::RE2> compiled) : compiled_(std::move(compiled)) {}
topic_pattern::topic_pattern(topic_pattern&&) noexcept = default;
topic_pattern& topic_pattern::operator=(topic_pattern&&) noexcept = default;
topic_pattern::~topic_pattern() = default;

result<topic_pattern> topic_pattern::compile(std::string_view text) {
  if (text.size() > pattern_bytes_max) {
    return fail(errc::invalid_regular_expression, "SubscribedTopicRegex is longer than {} bytes.",
                pattern_bytes_max);
  }
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(memory_bytes_max);
  auto compiled = std::make_unique<re2::RE2>(re2::StringPiece(text.data(), text.size()), options);
  if (!compiled->ok()) {
    return fail(errc::invalid_regular_expression,
                "SubscribedTopicRegex `{}` is not a valid regular expression: {}.", text, compiled->error());
  }
  return topic_pattern(std::move(compiled));
}

bool topic_pattern::matches(std::string_view topic) const {
  return RE2::FullMatch(re2::StringPiece(topic.data(), topic.size()), *compiled_);
}

}  // namespace millrace::broker::coord
