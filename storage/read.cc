// Reading: from memory where the batches still are, else from the segment that holds them.
#include <algorithm>
#include <utility>

#include "protocol/record.h"
#include "protocol/record_batch.h"
#include "storage/fault.h"
#include "storage/layout.h"
#include "storage/store_core.h"

namespace millrace::storage {

namespace {

// What the records of one batch may measure when a search inflates them.
constexpr uint64_t plain_bytes_max = 8 * limits::batch_bytes_max;

offset end_of(const partition_log& log, read_bound bound) {
  if (MILLRACE_FAULT(read_above_watermark)) return log.log_end();
  switch (bound) {
    case read_bound::high_watermark:
      return log.high_watermark();
    case read_bound::last_stable:
      return log.last_stable();
    case read_bound::log_end:
      return log.log_end();
  }
  return log.high_watermark();
}

fetched nothing_at(const partition_log& log, offset next) {
  fetched f;
  f.next = next;
  f.high_watermark = log.high_watermark();
  f.last_stable = log.last_stable();
  f.log_start = log.log_start();
  return f;
}

result<void> check_range(const partition_log& log, const read_request& request) {
  // Up to the log's end is in range, though what is not durable yet is not given.
  if (request.from < log.log_start() || request.from > log.log_end())
    return fail(errc::offset_out_of_range, "offset {} is not in {}..{}", request.from, log.log_start(),
                log.log_end());
  return {};
}

// The first record of a batch with a timestamp of at least `timestamp_ms`.
result<std::optional<timestamped_offset>> first_record_at(const slice& batch, int64_t timestamp_ms) {
  const auto header = protocol::batch_header::load(batch.data());
  timestamped_offset found;
  if (header.record_count == 0) return std::nullopt;
  found.epoch = leader_epoch(header.leader_epoch);
  if (header.uses_append_time()) {
    if (header.max_timestamp < timestamp_ms) return std::nullopt;
    found.timestamp_ms = header.max_timestamp;
    found.type = timestamp_type::log_append_time;
    found.offset = offset(header.base_offset);
    return found;
  }
  auto plain = protocol::plain_records(batch, header, plain_bytes_max);
  if (!plain) return fail(plain.error());
  protocol::record_iterator records(*plain, header.record_count);
  for (protocol::record_view record; records.next(record);) {
    const int64_t at = header.base_timestamp + record.timestamp_delta;
    if (at < timestamp_ms) continue;
    found.timestamp_ms = at;
    found.offset = offset(header.base_offset + record.offset_delta);
    return found;
  }
  MR_TRY(records.status());
  return std::nullopt;
}

}  // namespace

std::optional<result<fetched>> store_core::read_cached(partition_log& log, const read_request& request) {
  if (auto in_range = check_range(log, request); !in_range) return fail(in_range.error());
  const offset end = end_of(log, request.bound);
  fetched f = nothing_at(log, request.from);
  if (request.from >= end) return f;
  const tail_cache& cache = log.cache();
  if (cache.empty() || request.from < cache.front().base) return std::nullopt;
  for (size_t i = cache.find(request.from); i < cache.size() && cache[i].last < end; ++i) {
    const slice& bytes = cache[i].bytes;
    const bool is_first = f.records.empty();
    if (f.records.size() + bytes.size() > request.bytes_max && !(is_first && request.at_least_one_batch))
      break;
    f.records.append(bytes);
    f.next = cache[i].last.next();
  }
  return f;
}

task<result<fetched>> store_core::read(partition_log& log, read_request request) {
  if (auto cached = read_cached(log, request)) co_return std::move(*cached);
  const topic_partition_id id = log.id();
  fetched f = nothing_at(log, request.from);
  batch_range range;
  range.from = request.from;
  range.below = end_of(log, request.bound);
  range.bytes_max = request.bytes_max;
  range.at_least_one = request.at_least_one_batch;
  auto found = co_await read_segment(id, range);
  // Compaction may have left nothing from there to the segment's end.
  while (found && found->bytes.empty() && found->next > range.from) {
    partition_log* now = find(id);
    if (!now) co_return fail(errc::unknown_topic_or_partition, "the partition is gone");
    request.from = range.from = found->next;
    if (auto cached = read_cached(*now, request)) co_return std::move(*cached);
    found = co_await read_segment(id, range);
  }
  if (!found) {
    // Its segment may have gone meanwhile, with the log start.
    partition_log* now = find(id);
    if (now && request.from < now->log_start()) co_return fail(check_range(*now, request).error());
    co_return fail(found.error());
  }
  f.records.append(std::move(found->bytes));
  f.next = found->next;
  co_return f;
}

task<result<std::shared_ptr<segment_index>>> store_core::index_of(topic_partition_id id, offset base) {
  partition_log* log = find(id);
  if (log) co_await name_lock::usable(log->names());
  log = find(id);
  segment* described = log ? log->segment_of(base) : nullptr;
  if (!described || described->base != base)
    co_return fail(errc::unknown_topic_or_partition, "the partition is gone");
  if (described->index) co_return described->index;
  const name_lock::use names(log->names());
  const std::string directory = spiller_.directory_of(*log);
  const uint32_t interval_bytes = log->config().index_interval_bytes;
  const segment copy = *described;
  auto view = co_await spiller_.view_of(directory, copy);
  if (!view) co_return fail(view.error());
  auto loaded = co_await spiller_.load_index(std::move(*view), copy, interval_bytes, directory);
  if (!loaded) co_return fail(loaded.error());
  // Kept, unless the spill has gone on meanwhile.
  log = find(id);
  described = log ? log->segment_of(base) : nullptr;
  if (described && described->base == base && !described->index && described->end == copy.end) {
    described->index = loaded->index;
    if (loaded->is_rebuilt) described->offset_entries_saved = described->time_entries_saved = 0;
  }
  co_return loaded->index;
}

task<result<found_batches>> store_core::read_segment(topic_partition_id id, batch_range range) {
  partition_log* log = find(id);
  if (log) co_await name_lock::usable(log->names());
  log = find(id);
  if (!log) co_return fail(errc::unknown_topic_or_partition, "the partition is gone");
  // Index and segment must be of one another.
  std::optional<name_lock::use> names(std::in_place, log->names());
  const segment* holding = log->segment_of(range.from);
  if (!holding)
    co_return fail(errc::kafka_storage_error, "offset {} of {} is neither in memory nor in a segment",
                   range.from, log->directory_name());
  const offset base = holding->base;
  auto index = co_await index_of(id, base);
  if (!index) co_return fail(index.error());
  const uint32_t position = (*index)->position_before(range.from);
  range.first_ends_at = (*index)->last_offset_at(position);
  auto view = co_await checked_view_of(id, base);
  if (!view) co_return fail(view.error());
  names.reset();
  auto found = co_await read_batches(*view, position, range);
  if (!found && find(id) == nullptr)
    co_return fail(errc::unknown_topic_or_partition, "the partition is gone");
  co_return found;
}

task<result<void>> store_core::load_sums_of(topic_partition_id id, offset base) {
  partition_log* log = find(id);
  segment* described = log ? log->segment_of(base) : nullptr;
  if (!described || described->base != base || !described->has_sums ||
      (described->sums && described->sums->is_loaded))
    co_return {};
  const std::string directory = spiller_.directory_of(*log);
  const segment copy = *described;
  std::vector<size_t> damaged;
  auto loaded = co_await spiller_.load_sums(directory, copy, &damaged);
  if (!loaded) co_return fail(loaded.error());
  if (!damaged.empty()) sums_damaged(layout::sums_file(directory, base), damaged.size());
  log = find(id);
  described = log ? log->segment_of(base) : nullptr;
  if (described && described->base == base && !described->sums) described->sums = *loaded;
  co_return {};
}

task<result<segment_view>> store_core::checked_view_of(topic_partition_id id, offset base) {
  partition_log* log = find(id);
  if (log) co_await name_lock::usable(log->names());
  log = find(id);
  if (!log) co_return fail(errc::unknown_topic_or_partition, "the partition is gone");
  const name_lock::use names(log->names());
  auto sums = co_await load_sums_of(id, base);
  if (!sums) co_return fail(sums.error());
  log = find(id);
  const segment* holding = log ? log->segment_of(base) : nullptr;
  if (!holding || holding->base != base)
    co_return fail(errc::unknown_topic_or_partition, "the partition is gone");
  const std::string directory = spiller_.directory_of(*log);
  const segment copy = *holding;
  std::vector<epoch_start> epochs = log->epochs().starts();
  auto view = co_await spiller_.view_of(directory, copy);
  if (view) view->epochs = std::move(epochs);
  co_return view;
}

// Walks batches of [from, below) until one has a record of that time.
task<result<std::optional<timestamped_offset>>> store_core::search_batches(topic_partition_id id,
                                                                           int64_t timestamp_ms, offset from,
                                                                           offset below) {
  constexpr uint64_t step_bytes = 256 * limits::KiB;
  while (from < below) {
    partition_log* log = find(id);
    if (!log) co_return fail(errc::unknown_topic_or_partition, "the partition is gone");
    iobuf batches;
    const read_request request{from, step_bytes, true, read_bound::high_watermark};
    if (auto cached = read_cached(*log, request)) {
      if (!*cached) co_return fail(cached->error());
      batches = std::move((*cached)->records);
    } else {
      const batch_range range{from, below, step_bytes, true};
      auto found = co_await read_segment(id, range);
      if (!found) co_return fail(found.error());
      if (found->bytes.empty() && found->next > from) {
        from = found->next;
        continue;
      }
      batches.append(std::move(found->bytes));
    }
    if (batches.empty()) break;
    for (const slice& piece : batches.slices()) {
      for (size_t at = 0; at < piece.size();) {
        const auto header = protocol::batch_header::load(piece.data() + at);
        const offset base(header.base_offset);
        const slice batch = piece.sub(at, header.size_bytes());
        at += header.size_bytes();
        from = offset(header.next_offset());
        if (base >= below) co_return std::nullopt;
        if (header.max_timestamp < timestamp_ms) continue;
        auto record = first_record_at(batch, timestamp_ms);
        if (!record || *record) co_return record;
      }
    }
  }
  co_return std::nullopt;
}

task<result<std::optional<timestamped_offset>>> store_core::find_timestamp(partition_log& log,
                                                                           int64_t timestamp_ms,
                                                                           read_bound bound) {
  const topic_partition_id id = log.id();
  const offset below = end_of(log, bound);
  // Segments none of whose records is late enough are passed over; in the first other one the time index
  // says where to begin. What is only in memory comes last.
  offset from = log.log_start();
  for (const segment& s : log.segments()) {
    if (s.end <= from) continue;
    if (s.max_timestamp_ms < timestamp_ms) {
      from = s.end;
      continue;
    }
    const offset base = s.base;
    auto index = co_await index_of(id, base);
    if (!index) co_return fail(index.error());
    from = std::max(from, (*index)->offset_before_time(timestamp_ms).next());
    break;
  }
  co_return co_await search_batches(id, timestamp_ms, from, below);
}

task<result<std::optional<timestamped_offset>>> store_core::find_max_timestamp(partition_log& log) {
  // The batch that holds it: of all segments, or in memory.
  int64_t newest_ms = -1;
  offset holder = no_offset;
  for (const segment& s : log.segments()) {
    if (s.end <= log.log_start() || s.max_timestamp_ms <= newest_ms) continue;
    newest_ms = s.max_timestamp_ms;
    holder = std::max(s.max_timestamp_offset, log.log_start());
  }
  const tail_cache& cache = log.cache();
  for (size_t i = cache.unspilled(); i < cache.size() && cache[i].last < log.high_watermark(); ++i) {
    if (cache[i].max_timestamp_ms <= newest_ms || cache[i].last < log.log_start()) continue;
    newest_ms = cache[i].max_timestamp_ms;
    holder = std::max(cache[i].base, log.log_start());
  }
  if (holder == no_offset) co_return std::nullopt;
  co_return co_await search_batches(log.id(), newest_ms, holder, log.high_watermark());
}

task<result<offset>> store_core::advance_log_start(topic_partition_id id, offset to) {
  partition_log* log = find(id);
  if (!log) co_return fail(errc::unknown_topic_or_partition, "no such partition on this shard");
  if (to > log->high_watermark())
    co_return fail(errc::offset_out_of_range, "offset {} is above the high watermark {}", to,
                   log->high_watermark());
  if (to <= log->log_start()) co_return log->log_start();
  if (read_only_) co_return refusal();
  wal::writer& writer = writer_of(*log);
  if (MILLRACE_FAULT(log_start_not_logged)) {
    log->advance_log_start(to);
    co_return to;
  }
  const mutable_bytes body =
      writer.open_frame().add(wal::entry_kind::log_start, 0, wal::log_start_body_bytes);
  wal::encode_log_start(body.data(), id, to);
  const lsn at = writer.open_lsn();
  writer.touched();
  offset& moving = moving_log_starts_[id];
  moving = std::max(moving, to);
  auto durable = co_await writer.wait_durable(at);
  if (const auto known = moving_log_starts_.find(id);
      known != moving_log_starts_.end() && known->second <= to)
    moving_log_starts_.erase(known);
  if (!durable) co_return fail(durable.error());
  log = find(id);
  if (!log) co_return fail(errc::unknown_topic_or_partition, "the partition is gone");
  log->advance_log_start(to);
  co_return log->log_start();
}

}  // namespace millrace::storage
