// roll: when a segment ends and the next one begins, by Kafka's rules.
//
// Batches come to a segment when they are spilled, which may be long after they were appended; the rule looks
// at batches and at the segment only, so that segments end in the same places whenever that is. (Records
// without timestamps are judged by the wall clock, as there is nothing else.)
#pragma once

#include <cstdint>

#include "storage/log/segment.h"
#include "storage/log/tail_cache.h"
#include "storage/types.h"

namespace millrace::storage {

// What the rule asks of a segment.
struct segment_shape {
  offset base{0};
  uint64_t bytes = 0;
  int64_t first_timestamp_ms = -1;
  int64_t created_ms = -1;
  uint64_t offset_entries = 0;
  uint64_t time_entries = 0;
};

segment_shape shape_of(const segment& s);
// As if the batch had been added to it. Indexes are not counted on.
void add_to(segment_shape& shape, const cached_batch& batch, int64_t now_ms);

// Whether `next` must go into another segment: this one has grown to segment.bytes or segment.index.bytes, is
// older than segment.ms (less a part of segment.jitter.ms, which depends on partition and segment), or its
// index could not say the offset.
bool must_roll(const segment_shape& shape, const cached_batch& next, const topic_partition_id& id,
               const partition_config& config, int64_t now_ms);

}  // namespace millrace::storage
