#include "storage/spill.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "protocol/record_batch.h"
#include "runtime/fs.h"
#include "runtime/reactor.h"
#include "storage/fault.h"
#include "storage/layout.h"
#include "storage/log/roll.h"

namespace millrace::storage {

namespace {

namespace fs = runtime::fs;

// Whether a roll has ended it and then failed: nothing may be added to it any more.
bool has_ended(const segment& s) {
  return s.has_sums && s.summed % sum_block_bytes != 0;
}

}  // namespace

std::string spiller::directory_of(const partition_log& log) const {
  return layout::partition_directory(options_.data_dir, log.topic_name(), log.partition());
}

task<result<void>> spiller::spill(partition_log& log, uint64_t& spilled_bytes) {
  const auto has_work = [&log] {
    const tail_cache& cache = log.cache();
    return cache.has_unspilled() && cache[cache.unspilled()].last < log.high_watermark();
  };
  if (!has_work()) co_return {};
  if (!log.has_directory) {
    auto prepared = co_await prepare_directory(log);
    if (!prepared) co_return prepared;
  }
  while (has_work()) {
    const tail_cache& cache = log.cache();
    const int64_t now_ms = runtime::reactor::current().wall_clock_ms();
    result<void> step;
    if (log.segments().empty() || has_ended(log.segments().back()) ||
        must_roll(shape_of(log.segments().back()), cache[cache.unspilled()], log.id(), log.config(),
                  now_ms)) {
      step = co_await roll(log);
    } else {
      step = co_await write_some(log, spilled_bytes);
    }
    if (!step) co_return step;
  }
  co_return {};
}

task<result<std::shared_ptr<runtime::file>>> spiller::log_file(const partition_log& log, offset base) {
  return files_.get(layout::log_file(directory_of(log), base),
                    options_.direct ? file_use::write_direct : file_use::write_buffered);
}

// Loads the active segment's index, which a restart leaves on disk.
task<result<void>> spiller::need_index(partition_log& log) {
  if (log.segments().back().index) co_return {};
  auto view = co_await view_of(directory_of(log), log.segments().back());
  if (!view) co_return fail(view.error());
  auto loaded = co_await load_index(std::move(*view), log.segments().back(),
                                    log.config().index_interval_bytes, directory_of(log));
  if (!loaded) co_return fail(loaded.error());
  segment& active = log.segments().back();
  active.index = std::move(loaded->index);
  if (loaded->is_rebuilt) active.offset_entries_saved = active.time_entries_saved = 0;
  co_return {};
}

task<result<void>> spiller::write_some(partition_log& log, uint64_t& spilled_bytes) {
  auto indexed = co_await need_index(log);
  if (!indexed) co_return indexed;
  if (log.segments().back().written % limits::block_bytes != 0) {
    auto reloaded = co_await reload_tail(log);
    if (!reloaded) co_return reloaded;
  }
  auto summing = co_await need_sums(log);
  if (!summing) co_return summing;
  log.is_finished = false;

  const auto units = static_cast<int64_t>(std::min(log.cache().unspilled_bytes(), spill_write_bytes));
  co_await writing_.acquire(units);
  const runtime::semaphore_units held(writing_, units);

  // The plan: as many durable batches as fit one write and the segment.
  const segment& active = log.segments().back();
  const tail_cache& cache = log.cache();
  const partition_config config = log.config();
  const int64_t now_ms = runtime::reactor::current().wall_clock_ms();
  segment_shape shape = shape_of(active);
  size_t count = 0;
  uint64_t bytes = 0;
  uint64_t without_entry = active.bytes_since_index_entry;
  for (size_t i = cache.unspilled(); i < cache.size() && cache[i].last < log.high_watermark(); ++i) {
    const uint64_t with = bytes + cache[i].bytes.size();
    if (count > 0 && (with > spill_write_bytes || must_roll(shape, cache[i], log.id(), config, now_ms)))
      break;
    add_to(shape, cache[i], now_ms);
    // About what note_batch() will do.
    if (without_entry > config.index_interval_bytes) {
      ++shape.offset_entries;
      ++shape.time_entries;
      without_entry = 0;
    }
    without_entry += cache[i].bytes.size();
    bytes = with;
    ++count;
  }
  MR_ASSERT(count > 0);

  // Assemble tail and batches in aligned memory: the write wants whole blocks of it.
  const uint64_t total = active.tail.size() + bytes;
  buffer memory = buffer::allocate(align_up(total, limits::block_bytes));
  if (!active.tail.empty()) std::memcpy(memory.data(), active.tail.data(), active.tail.size());
  uint64_t at = active.tail.size();
  for (size_t i = cache.unspilled(); i < cache.unspilled() + count; ++i) {
    std::memcpy(memory.data() + at, cache[i].bytes.data(), cache[i].bytes.size());
    at += cache[i].bytes.size();
  }
  const uint64_t to_write = align_down(total, limits::block_bytes);
  if (to_write > 0) {
    auto file = co_await log_file(log, log.segments().back().base);
    if (!file) co_return fail(file.error());
    const bytes_view blocks(memory.data(), to_write);
    auto written = co_await (*file)->write(log.segments().back().written, blocks);
    if (!written) co_return written;
  }

  // Meanwhile batches were added behind the plan, and spilled ones may have been evicted before it.
  segment& s = log.segments().back();
  uint64_t position = s.size_bytes();
  const size_t first = log.cache().unspilled();
  for (size_t i = first; i < first + count; ++i) {
    const cached_batch& batch = log.cache()[i];
    s.index->note_batch(batch.last, batch.max_timestamp_ms, static_cast<uint32_t>(position),
                        static_cast<uint32_t>(batch.bytes.size()), config.index_interval_bytes);
    position += batch.bytes.size();
  }
  s.end = log.cache()[first + count - 1].last.next();
  s.max_timestamp_ms = s.index->max_timestamp_ms();
  s.max_timestamp_offset = s.index->max_timestamp_offset();
  s.bytes_since_index_entry = s.index->bytes_since_entry();
  s.written += to_write;
  if (s.has_sums) {
    s.sums->add(bytes_view(memory.data(), to_write));
    note_sums(s);
  }
  s.tail =
      total > to_write ? slice::copy_of(bytes_view(memory.data() + to_write, total - to_write)) : slice();
  s.is_dirty = true;
  s.first_timestamp_ms = shape.first_timestamp_ms;
  s.modified_ms = now_ms;
  log.cache().mark_spilled(count);
  spilled_bytes_ += bytes;
  spilled_bytes += bytes;
  co_return {};
}

// After a clean stop the active segment ends within a block. Going on means writing that block again, and
// a crash in that moment could tear bytes that nothing else holds: so they go into the WAL first.
task<result<void>> spiller::reload_tail(partition_log& log) {
  const segment& before = log.segments().back();
  const uint64_t begin = align_down(before.written, limits::block_bytes);
  auto view = co_await view_of(directory_of(log), before);
  if (!view) co_return fail(view.error());
  auto bytes = co_await read_view(*view, begin, before.written - begin);
  if (!bytes) co_return fail(bytes.error());
  auto journaled = co_await journal_(log, log.segments().back().base, begin, *bytes);
  if (!journaled) co_return journaled;
  segment& s = log.segments().back();
  if (!s.tail.empty()) {
    buffer joined = buffer::allocate(bytes->size() + s.tail.size());
    std::memcpy(joined.data(), bytes->data(), bytes->size());
    std::memcpy(joined.data() + bytes->size(), s.tail.data(), s.tail.size());
    *bytes = slice(joined, 0, bytes->size() + s.tail.size());
  }
  s.tail = std::move(*bytes);
  if (s.has_sums) {
    if (!s.sums) s.sums = std::make_shared<block_sums>(s.base);
    s.sums->rest_end = s.written;
    s.sums->stop_building();
  }
  s.written = begin;
  co_return {};
}

task<result<void>> spiller::roll(partition_log& log) {
  const std::string directory = directory_of(log);
  if (!log.segments().empty()) {
    auto closed = co_await close_active(log, true);
    if (!closed) co_return closed;
  }
  const offset base = log.spilled_end();
  // Whatever an earlier run left under these names is not part of the log.
  const std::string log_path = layout::log_file(directory, base);
  for (const std::string& path : layout::files_of_segment(directory, base)) {
    auto created = co_await runtime::file::open(path, {.create = true, .truncate = true});
    if (!created) co_return fail(created.error());
    // A length and no blocks, as Kafka gives it: topics that hold little take no more of the disk for it.
    if (log.config().preallocates && path == log_path) {
      auto sized = co_await created->truncate(log.config().segment_bytes);
      if (!sized) co_return sized;
    }
    auto closed = co_await created->close();
    if (!closed) co_return closed;
  }
  if (!MILLRACE_FAULT(missing_segment_name_sync)) {
    auto synced = co_await fs::sync_directory(directory);
    if (!synced) co_return synced;
  }
  segment next;
  next.base = next.end = base;
  next.index = std::make_shared<segment_index>(base);
  next.has_sums = true;
  next.sums = std::make_shared<block_sums>(base);
  next.sums->is_loaded = true;
  next.sums->begin_building({}, true);
  next.created_ms = runtime::reactor::current().wall_clock_ms();
  log.segments().push_back(std::move(next));
  log.is_finished = false;
  co_return {};
}

// Gives the active segment its exact size and complete indexes, synced. `is_final`: nothing will be added to
// it.
task<result<void>> spiller::close_active(partition_log& log, bool is_final) {
  log.is_finished = false;  // should it fail half-way
  auto indexed = co_await need_index(log);
  if (!indexed) co_return indexed;
  auto summing = co_await need_sums(log);
  if (!summing) co_return summing;
  const segment& before = log.segments().back();
  const uint64_t size = before.size_bytes();
  auto file = co_await log_file(log, before.base);
  if (!file) co_return fail(file.error());
  if (!log.segments().back().tail.empty() && !MILLRACE_FAULT(roll_without_tail)) {
    const segment& active = log.segments().back();
    buffer block = buffer::allocate(limits::block_bytes);
    std::memset(block.data(), 0, limits::block_bytes);
    std::memcpy(block.data(), active.tail.data(), active.tail.size());
    const bytes_view bytes(block.data(), limits::block_bytes);
    auto written = co_await (*file)->write(active.written, bytes);
    if (!written) co_return written;
  }
  if (!MILLRACE_FAULT(not_trimmed)) {
    auto sized = co_await (*file)->truncate(size);
    if (!sized) co_return sized;
  }
  auto synced = co_await (*file)->sync_all();
  if (!synced) co_return synced;
  segment& active = log.segments().back();
  // Until what follows is saved: if the disk is full now, a checkpoint must not count on it.
  active.is_dirty = true;
  if (active.has_sums) {
    active.sums->add(active.tail);
    if (is_final) active.sums->finish();
  }
  active.written = size;
  active.tail = slice();
  if (active.has_sums) note_sums(active);
  active.index->finish();
  auto saved = co_await save_index(log, true);
  if (saved) saved = co_await save_sums(log, true);
  if (!saved) co_return saved;
  log.segments().back().is_dirty = false;
  co_return {};
}

// Writes index entries made since the last time; `exact` also cuts the files to size.
task<result<void>> spiller::save_index(partition_log& log, bool exact) {
  const std::string directory = directory_of(log);
  const offset base = log.segments().back().base;
  const std::shared_ptr<segment_index> index = log.segments().back().index;
  if (!index) co_return {};
  const size_t offsets = index->offsets().size();
  const size_t times = index->times().size();
  const size_t offsets_saved = log.segments().back().offset_entries_saved;
  const size_t times_saved = log.segments().back().time_entries_saved;
  const std::vector<std::byte> offset_bytes = index->encode_offsets(offsets_saved);
  const std::vector<std::byte> time_bytes = index->encode_times(times_saved);

  struct part {
    std::string path;
    uint64_t at;
    bytes_view bytes;
  };
  const part parts[] = {
      {layout::index_file(directory, base), offsets_saved * offset_index_entry_bytes, offset_bytes},
      {layout::time_index_file(directory, base), times_saved * time_index_entry_bytes, time_bytes}};
  for (const part& p : parts) {
    if (p.bytes.empty() && !exact) continue;
    auto file = co_await files_.get(p.path, file_use::write_buffered);
    if (!file) co_return fail(file.error());
    auto written = co_await (*file)->write(p.at, p.bytes);
    if (!written) co_return written;
    if (exact) {
      auto sized = co_await (*file)->truncate(p.at + p.bytes.size());
      if (!sized) co_return sized;
    }
    auto synced = co_await (*file)->sync_all();
    if (!synced) co_return synced;
  }
  segment& s = log.segments().back();
  s.offset_entries_saved = static_cast<uint32_t>(offsets);
  s.time_entries_saved = static_cast<uint32_t>(times);
  co_return {};
}

task<result<void>> spiller::sync(partition_log& log) {
  if (log.segments().empty() || !needs_sync(log.segments().back())) co_return {};
  auto summing = co_await need_sums(log);
  if (!summing || !log.segments().back().is_dirty) co_return summing;
  auto file = co_await log_file(log, log.segments().back().base);
  if (!file) co_return fail(file.error());
  if (!MILLRACE_FAULT(skip_segment_sync)) {
    auto synced = co_await (*file)->sync_data();
    if (!synced) co_return synced;
  }
  auto saved = co_await save_index(log, false);
  if (saved) saved = co_await save_sums(log, false);
  if (!saved) co_return saved;
  log.segments().back().is_dirty = false;
  co_return {};
}

task<result<void>> spiller::finish(partition_log& log) {
  MR_ASSERT(!log.cache().has_unspilled());
  if (log.is_finished) co_return {};
  if (log.segments().empty()) {
    auto cleared = co_await clear_directory(log);
    log.is_finished = cleared.has_value();
    co_return cleared;
  }
  auto dropped = co_await drop_unborn(log);
  if (!dropped) co_return dropped;
  if (!log.has_directory) {
    auto prepared = co_await prepare_directory(log);
    if (!prepared) co_return prepared;
  }
  auto closed = co_await close_active(log, false);
  if (!closed) co_return closed;
  const std::string epochs = layout::format_leader_epochs(log.epochs().starts());
  const bytes_view bytes = as_bytes(epochs);
  auto noted = co_await fs::replace_file(layout::leader_epoch_checkpoint(directory_of(log)), bytes);
  if (noted) log.is_finished = true;
  co_return noted;
}

task<result<segment_view>> spiller::view_of(std::string directory, segment described) {
  segment_view view;
  view.path = layout::log_file(directory, described.base);
  view.written = described.written;
  view.tail = described.tail;
  view.base = described.base;
  view.end = described.end;
  view.may_have_gaps = described.may_have_gaps;
  if (described.has_sums && described.sums && described.sums->is_loaded) view.sums = described.sums;
  view.summed = described.summed;
  view.rest_sum = described.rest_sum;
  view.rest_end =
      described.sums && described.sums->rest_end > 0 ? described.sums->rest_end : described.written;
  view.listener = options_.listener;
  auto file = co_await files_.get(view.path, file_use::read);
  if (!file) co_return fail(file.error());
  view.file = std::move(*file);
  co_return view;
}

task<result<loaded_index>> spiller::load_index(segment_view view, segment described, uint32_t interval_bytes,
                                               std::string directory) {
  auto index = std::make_shared<segment_index>(described.base);
  auto offsets =
      co_await fs::read_file(layout::index_file(directory, described.base), limits::batch_bytes_max * 4);
  auto times =
      co_await fs::read_file(layout::time_index_file(directory, described.base), limits::batch_bytes_max * 4);
  const bool complete = offsets && times &&
                        offsets->size() >= described.offset_entries_saved * offset_index_entry_bytes &&
                        times->size() >= described.time_entries_saved * time_index_entry_bytes &&
                        index->load_offsets(*offsets, described.offset_entries_saved) &&
                        index->load_times(*times, described.time_entries_saved);
  if (complete) {
    index->restore_progress(described.bytes_since_index_entry, described.max_timestamp_ms,
                            described.max_timestamp_offset);
    co_return loaded_index{index, false};
  }
  log::warn("rebuilding the index of segment path={}", view.path);
  index = std::make_shared<segment_index>(described.base);
  segment_index& building = *index;
  const std::function<bool(uint64_t, bytes_view)> note = [&building, interval_bytes](uint64_t position,
                                                                                     bytes_view head) {
    const auto h = protocol::batch_header::load(head.data());
    building.note_batch(offset(h.last_offset()), timestamp_of_index(h), static_cast<uint32_t>(position),
                        static_cast<uint32_t>(h.size_bytes()), interval_bytes);
    return true;
  };
  auto walked = co_await walk_headers(view, 0, note);
  if (!walked) co_return fail(walked.error());
  co_return loaded_index{index, true};
}

}  // namespace millrace::storage
