#include "storage/log/span.h"

#include <algorithm>

#include "storage/log/roll.h"

namespace millrace::storage {

namespace {
int64_t time_of(int64_t timestamp_ms, int64_t written_ms) {
  return timestamp_ms >= 0 ? timestamp_ms : written_ms;
}
}  // namespace

std::vector<span> spans_of(const partition_log& log, int64_t now_ms) {
  std::vector<span> spans;
  segment_shape last;
  for (const segment& s : log.segments()) {
    spans.push_back({s.base, s.end, s.size_bytes(), time_of(s.first_timestamp_ms, s.created_ms),
                     time_of(s.max_timestamp_ms, s.modified_ms)});
    last = shape_of(s);
  }
  const tail_cache& cache = log.cache();
  for (size_t i = cache.unspilled(); i < cache.size(); ++i) {
    const cached_batch& batch = cache[i];
    const int64_t time_ms = time_of(batch.max_timestamp_ms, now_ms);
    if (spans.empty() || must_roll(last, batch, log.id(), log.config(), now_ms)) {
      spans.push_back({.base = batch.base, .oldest_ms = time_ms});
      last = segment_shape{};
      last.base = batch.base;
    }
    span& s = spans.back();
    s.end = batch.last.next();
    s.bytes += batch.bytes.size();
    s.newest_ms = std::max(s.newest_ms, time_ms);
    add_to(last, batch, now_ms);
  }
  return spans;
}

}  // namespace millrace::storage
