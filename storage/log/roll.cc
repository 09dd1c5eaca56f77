#include "storage/log/roll.h"

#include <algorithm>
#include <limits>

#include "base/checksum.h"

namespace millrace::storage {

namespace {

// The same for one segment whenever it is asked, so that a restart changes nothing.
int64_t jitter_of(offset base, const topic_partition_id& id, const partition_config& config) {
  const int64_t below = std::min(config.segment_jitter_ms, config.segment_ms);
  if (below <= 0) return 0;
  std::byte place[sizeof(id.topic.bytes) + 12];
  std::copy(id.topic.bytes.begin(), id.topic.bytes.end(), place);
  store_le<int32_t>(place + id.topic.bytes.size(), id.partition);
  store_le<int64_t>(place + id.topic.bytes.size() + 4, base.value());
  return static_cast<int64_t>(xxh3(place) % static_cast<uint64_t>(below));
}

bool is_old(const segment_shape& shape, const cached_batch& next, int64_t jitter_ms,
            const partition_config& config, int64_t now_ms) {
  const int64_t age_max_ms = config.segment_ms - jitter_ms;
  if (shape.first_timestamp_ms >= 0 && next.max_timestamp_ms >= 0)
    return next.max_timestamp_ms - shape.first_timestamp_ms > age_max_ms;
  return shape.created_ms >= 0 && now_ms - shape.created_ms > age_max_ms;
}

}  // namespace

segment_shape shape_of(const segment& s) {
  segment_shape shape;
  shape.base = s.base;
  shape.bytes = s.size_bytes();
  shape.first_timestamp_ms = s.first_timestamp_ms;
  shape.created_ms = s.created_ms;
  shape.offset_entries = s.index ? s.index->offsets().size() : s.offset_entries_saved;
  shape.time_entries = s.index ? s.index->times().size() : s.time_entries_saved;
  return shape;
}

void add_to(segment_shape& shape, const cached_batch& batch, int64_t now_ms) {
  if (shape.bytes == 0) {
    shape.first_timestamp_ms = batch.max_timestamp_ms;
    shape.created_ms = now_ms;
  }
  shape.bytes += batch.bytes.size();
}

bool must_roll(const segment_shape& shape, const cached_batch& next, const topic_partition_id& id,
               const partition_config& config, int64_t now_ms) {
  if (shape.bytes == 0) return false;
  if (shape.bytes + next.bytes.size() > config.segment_bytes) return true;
  if (next.last.minus(shape.base) > std::numeric_limits<int32_t>::max()) return true;
  // The time index keeps room for the entry that a closed segment ends with.
  if ((shape.offset_entries + 1) * offset_index_entry_bytes > config.index_bytes_max ||
      (shape.time_entries + 2) * time_index_entry_bytes > config.index_bytes_max)
    return true;
  return is_old(shape, next, jitter_of(shape.base, id, config), config, now_ms);
}

}  // namespace millrace::storage
