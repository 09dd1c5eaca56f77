#include "storage/compaction.h"

#include <algorithm>
#include <limits>

#include "storage/fault.h"
#include "storage/log/span.h"

namespace millrace::storage {

namespace {

bool is_older(const span& s, int64_t now_ms, int64_t by_ms) {
  return s.newest_ms >= 0 && now_ms - s.newest_ms > by_ms;
}

}  // namespace

compaction_scope compaction_scope_of(const partition_log& log, int64_t now_ms,
                                     std::optional<offset> held_from, const hold_limits& limits) {
  const partition_config& config = log.config();
  compaction_scope scope;
  scope.from = scope.below = std::max(log.cleaned_to(), log.log_start());
  std::vector<span> spans = spans_of(log, now_ms);
  if (spans.empty()) return scope;
  spans.pop_back();

  auto first = spans.begin();
  for (; first != spans.end() && first->end <= scope.from; ++first) scope.clean_bytes += first->bytes;
  auto end = first;
  while (end != spans.end() && end->end <= log.high_watermark() &&
         (config.compaction_lag_min_ms <= 0 || is_older(*end, now_ms, config.compaction_lag_min_ms)))
    ++end;

  // [held, end) is what a holder has not read.
  if (held_from && !MILLRACE_FAULT(compaction_passes_cursor)) {
    auto held = first;
    while (held != end && held->end <= *held_from) ++held;
    uint64_t bytes = 0;
    for (auto s = held; s != end; ++s) bytes += s->bytes;
    while (held != end && (bytes > limits.bytes_max || is_older(*held, now_ms, limits.ms_max))) {
      bytes -= held->bytes;
      ++held;
    }
    end = held;
  }
  for (auto s = first; s != end; ++s) {
    scope.dirty_bytes += s->bytes;
    scope.below = s->end;
    scope.is_overdue |= s->oldest_ms >= 0 && now_ms - s->oldest_ms > config.compaction_lag_max_ms;
  }
  return scope;
}

std::vector<segment_group> compaction_groups(const partition_log& log, offset below) {
  const std::vector<segment>& segments = log.segments();
  const partition_config& config = log.config();
  std::vector<segment_group> groups;
  uint64_t bytes = 0;
  uint64_t index_bytes = 0;
  for (size_t i = 0; i + 1 < segments.size() && segments[i].base < below; ++i) {
    const segment& s = segments[i];
    const uint64_t index = std::max(s.offset_entries_saved * offset_index_entry_bytes,
                                    s.time_entries_saved * time_index_entry_bytes);
    const bool fits = !groups.empty() && bytes + s.size_bytes() <= config.segment_bytes &&
                      index_bytes + index <= config.index_bytes_max &&
                      s.end.minus(segments[groups.back().first].base) <= std::numeric_limits<int32_t>::max();
    if (fits) {
      ++groups.back().count;
      bytes += s.size_bytes();
      index_bytes += index;
    } else {
      groups.push_back({i, 1});
      bytes = s.size_bytes();
      index_bytes = index;
    }
  }
  return groups;
}

}  // namespace millrace::storage
