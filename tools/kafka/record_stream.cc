#include "tools/kafka/record_stream.h"

#include "tools/cli/interrupt.h"

namespace millrace::tools {

namespace {

std::optional<std::string> copy(const std::optional<std::string_view>& bytes) {
  return bytes ? std::optional(std::string(*bytes)) : std::nullopt;
}

}  // namespace

bool owned_record::says_the_same(const owned_record& other) const {
  return key == other.key && value == other.value && headers == other.headers &&
         timestamp_ms == other.timestamp_ms;
}

result<record_stream> record_stream::open(const connection& to, const std::string& topic, int32_t partition,
                                          int64_t from) {
  const auto position = start_position::parse(std::to_string(from));
  if (!position) return fail(position.error());
  auto opened = consumer::open(
      to, {.topic = topic, .group = {}, .partitions = {partition}, .from = *position, .is_bounded = true});
  if (!opened) return fail(opened.error());
  return record_stream(std::move(*opened));
}

result<const owned_record*> record_stream::peek(size_t ahead) {
  const auto take = [this](const record_view& record) {
    owned_record& made = ahead_.emplace_back();
    made.offset = record.offset;
    made.timestamp_ms = record.timestamp_ms;
    made.key = copy(record.key);
    made.value = copy(record.value);
    for (const header_view& h : record.headers) made.headers.emplace_back(h.name, copy(h.value));
    return true;
  };
  while (ahead_.size() <= ahead && !from_->is_at_end()) {
    if (interrupted()) return fail(errc::cancelled, "interrupted");
    MR_TRY(from_->poll(100, take));
  }
  return ahead < ahead_.size() ? &ahead_[ahead] : nullptr;
}

void record_stream::skip(size_t count) {
  ahead_.erase(ahead_.begin(), ahead_.begin() + static_cast<ptrdiff_t>(count));
}

}  // namespace millrace::tools
