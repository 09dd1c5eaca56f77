#include "storage/retention.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <vector>

#include "storage/log/span.h"

namespace millrace::storage {

offset retention_point(const partition_log& log, int64_t now_ms, std::optional<offset> held_from,
                       const hold_limits& limits) {
  const partition_config& config = log.config();
  const offset point = log.log_start();
  if (config.retention_bytes < 0 && config.retention_ms < 0) return point;
  std::vector<span> spans = spans_of(log, now_ms);
  std::erase_if(spans, [&](const span& s) { return s.bytes == 0 || s.end <= log.log_start(); });

  uint64_t bytes = 0;
  for (const span& s : spans) bytes += s.bytes;
  auto next = spans.begin();
  const auto may_go = [&] { return next != spans.end() && next->end <= log.high_watermark(); };
  if (config.retention_bytes >= 0) {
    for (; may_go() && bytes - next->bytes >= static_cast<uint64_t>(config.retention_bytes); ++next)
      bytes -= next->bytes;
  }
  const auto is_older = [&](const span& s, int64_t by_ms) {
    return s.newest_ms >= 0 && now_ms - s.newest_ms > by_ms;
  };
  if (config.retention_ms >= 0)
    while (may_go() && is_older(*next, config.retention_ms)) ++next;
  if (next == spans.begin()) return point;

  // [first held, next) is what a holder has not read.
  auto held = spans.begin();
  while (held != next && (!held_from || held->end <= *held_from)) ++held;
  uint64_t held_bytes = 0;
  for (auto s = held; s != next; ++s) held_bytes += s->bytes;
  const int64_t in_time_ms = std::max<int64_t>(config.retention_ms, 0);
  const int64_t held_ms_max = limits.ms_max > std::numeric_limits<int64_t>::max() - in_time_ms
                                  ? std::numeric_limits<int64_t>::max()
                                  : in_time_ms + limits.ms_max;
  while (held != next && (held_bytes > limits.bytes_max || is_older(*held, held_ms_max))) {
    held_bytes -= held->bytes;
    ++held;
  }
  return held == spans.begin() ? point : std::prev(held)->end;
}

int64_t retention_clock::read(int64_t wall_ms, runtime::time_point now) {
  if (believed_ms_) {
    const int64_t passed_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now - read_at_).count();
    believed_ms_ = std::min(wall_ms, *believed_ms_ + 2 * passed_ms);
  } else {
    believed_ms_ = wall_ms;
  }
  read_at_ = now;
  return *believed_ms_;
}

}  // namespace millrace::storage
