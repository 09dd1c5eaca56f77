// Opening a shard: checkpoint, then the frames of the WAL from its trim point on.
//
// Frames are redone into memory only; no segment and no partition directory is opened, so a start takes
// as long as the WAL is large, whatever the logs measure. What is redone is spilled later as if it had
// just been appended.
//
// Telling the end of the log from damage: every file is read from its front until the row of frames
// stops. If any frame that could still matter lies behind that place, or a younger file does not go on
// where the older one stopped, or the checkpoint knew of later frames, then acknowledged data is damaged
// and the shard refuses to open. Otherwise the place is the end (or a last write cut short by a crash).
//
// In the unsynced lane a power cut may leave holes anywhere behind what the last checkpoint synced. There the
// first place without a frame is the end; what lies behind it is given up, and made unfindable before
// anything new is written, so that no later start takes it for a continuation.
//
// A partition whose durability was changed while the broker was down has frames in the other lane. Then
// everything is spilled, and a checkpoint written, before the shard opens: nothing in that lane counts any
// more.
#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "protocol/record_batch.h"
#include "runtime/reactor.h"
#include "storage/fault.h"
#include "storage/layout.h"
#include "storage/store_core.h"
#include "storage/wal/frame.h"
#include "storage/wal/reader.h"

namespace millrace::storage {

namespace {

// A WAL file and what its front says.
struct candidate {
  wal::wal_file* file = nullptr;
  lsn first{0};  // 0: no frame at the front
};

// Slabs that wait for reuse, out of what the cache may take.
constexpr uint64_t arena_share = 4;

}  // namespace

store_core::store_core(store_options options)
    : options_(std::move(options)),
      arena_(options_.cache_bytes + options_.unspilled_bytes_max / arena_share),
      files_(options_.open_segments_max),
      spiller_({options_.data_dir, options_.direct, this}, files_,
               [this](partition_log& log, offset base, uint64_t position, slice bytes) {
                 return journal_tail(log, base, position, std::move(bytes));
               }) {}

store_core::~store_core() = default;

task<result<void>> store_core::recover(std::vector<partition_spec> specs) {
  checkpoint known;
  known.is_clean = true;
  auto loaded = co_await load_checkpoint(layout::checkpoint_file(options_.data_dir, options_.shard.value()));
  if (loaded) {
    known = std::move(*loaded);
  } else if (loaded.error().code != errc::not_found) {
    co_return fail(loaded.error());
  }

  for (partition_spec& spec : specs) {
    const topic_partition_id id = spec.id;
    logs_.emplace(id, std::make_unique<partition_log>(std::move(spec), options_.epoch));
  }
  for (checkpoint_partition& p : known.partitions) {
    partition_log* log = find(p.id);
    if (!log) continue;  // its topic was deleted
    log->restore(p.log_start, p.spilled_end, p.redo_from, std::move(p.segments));
    // A power cut may have taken every frame of a run since then, and left what it wrote behind the end of a
    // segment.
    log->is_finished = known.is_clean && options_.follows_clean_stop;
    log->epochs().restore(std::move(p.epochs));
    for (const auto& [producer, entry] : p.producers) log->producers().restore(producer, entry);
    log->set_cleaned_to(p.cleaned_to);
    producers_end_[p.id] = p.producers_end;
    auto finished = co_await finish_swaps(*log);
    if (!finished) co_return finished;
  }
  cursors_.insert(known.cursors.begin(), known.cursors.end());

  for (log_lane& l : lanes_) {
    auto opened = co_await open_lane(l, known.of(l.which));
    if (!opened) co_return opened;
  }
  producers_end_.clear();
  for (const auto& [id, log] : logs_) {
    log->advance_high_watermark(log->log_end());
    unspilled_bytes_ += log->cache().unspilled_bytes();
    cached_bytes_ += log->cache().bytes();
  }
  for (log_lane& l : lanes_) {
    frame_record replayed;
    replayed.at = l.writer->durable();
    for (const auto& [id, log] : logs_)
      if (!log->cache().empty() && storage::lane_of(log->cache().back().at) == l.which) {
        replayed.touched.emplace_back(log.get(), log->log_end());
        replayed.bytes += log->cache().bytes();
      }
    if (!replayed.touched.empty()) {
      cached_frames_bytes_ += replayed.bytes;
      cached_frames_.push_back(std::move(replayed));
    }
    writer_gate_.spawn(l.writer->run());
  }
  if (is_unsettled_ && !MILLRACE_FAULT(lanes_not_settled)) {
    auto settled = co_await settle_lanes();
    if (!settled) {
      for (log_lane& l : lanes_) l.writer->stop();
      co_await writer_gate_.close();
      co_return settled;
    }
  }
  begin_retention();
  maintenance_gate_.spawn(maintain());
  maintenance_gate_.spawn(remove_doomed_now_and_then());
  if (options_.compacts) maintenance_gate_.spawn(compact_now_and_then());
  if (options_.scrub_bytes_per_second > 0) maintenance_gate_.spawn(scrub());
  co_return {};
}

task<result<void>> store_core::open_lane(log_lane& l, lane_ends known) {
  wal::file_set_options wal_options;
  wal_options.directory = layout::wal_directory(options_.data_dir, options_.shard.value(), l.which);
  wal_options.file_bytes_min = options_.wal_file_bytes_min;
  wal_options.file_bytes_max = options_.wal_file_bytes_max;
  wal_options.shard = options_.shard.value();
  wal_options.direct = options_.direct;
  wal_options.random_seed = runtime::reactor::current().random().next();
  auto files = co_await wal::file_set::open(std::move(wal_options));
  if (!files) co_return fail(files.error());
  l.files = std::move(*files);

  auto next = co_await replay(l, known);
  if (!next) co_return fail(next.error());
  // A frame may have been read back that was written but not yet synced when the last process died.
  if (!MILLRACE_FAULT(recovered_not_synced)) {
    auto synced = co_await l.files->sync_live();
    if (!synced) co_return synced;
  }

  wal::writer_options writer_options;
  writer_options.frame_bytes_target = options_.frame_bytes_target;
  writer_options.frame_bytes_max = options_.frame_bytes_max;
  writer_options.seal_after_idle = options_.seal_after_idle;
  writer_options.is_synced = l.which == lane::synced;
  if (writer_options.is_synced) writer_options.delay_max = options_.commit_delay_max;
  l.writer = std::make_unique<wal::writer>(*l.files, writer_options, l, arena_, *next);
  co_return {};
}

// Everything into segments, so that no frame written so far counts any more.
task<result<void>> store_core::settle_lanes() {
  log::info("moving partitions to the log of their new durability shard={}", options_.shard);
  for (const topic_partition_id& id : ids_by_oldest_unspilled(
           {at_lane(lane::synced).writer->durable(), at_lane(lane::unsynced).writer->durable()})) {
    auto spilled = co_await spill(id);
    if (!spilled) co_return spilled;
  }
  auto synced = co_await sync_segments();
  if (!synced) co_return synced;
  auto written = co_await write_checkpoint(false);
  if (!written) co_return written;
  // What the cache holds is numbered by the lane that it came from.
  cached_frames_.clear();
  cached_frames_bytes_ = 0;
  for (const auto& [id, log] : logs_)
    if (!log->cache().empty()) cached_bytes_ -= log->cache().evict(log->cache().back().at);
  co_return written;
}

// Redoes every frame from the checkpoint's trim point on; gives the lsn that comes next.
task<result<lsn>> store_core::replay(log_lane& l, lane_ends known) {
  const bool is_synced = l.which == lane::synced;
  std::vector<candidate> candidates;
  for (wal::wal_file* file : l.files->all()) {
    wal::reader reader(file->handle, file->capacity_bytes);
    auto header = co_await reader.open();
    if (!header) co_return fail(header.error());
    if (*header) l.files->raise_generation((*header)->generation);
    auto first = co_await reader.next();
    if (!first) co_return fail(first.error());
    candidates.push_back({file, *first ? (*first)->header.lsn : lsn(0)});
  }
  // Files without a frame at the front come last: they are only searched for what damage may hide.
  std::sort(candidates.begin(), candidates.end(), [](const candidate& a, const candidate& b) {
    return std::pair(a.first.value() == 0, a.first) < std::pair(b.first.value() == 0, b.first);
  });

  lsn expected = known.trim;
  bool is_cut = false;  // unsynced: here a power cut ended the log
  for (size_t i = 0; i < candidates.size(); ++i) {
    const candidate& c = candidates[i];
    const std::string& path = c.file->handle.path();
    if (!is_synced && c.first.value() == 0) continue;
    // Recycled, or about to be: what it holds comes before the next file's first frame, and none of that
    // counts.
    if (i + 1 < candidates.size() && candidates[i + 1].first.value() != 0 &&
        candidates[i + 1].first <= known.trim)
      continue;
    wal::reader reader(c.file->handle, c.file->capacity_bytes);
    auto header = co_await reader.open();
    if (!header) co_return fail(header.error());
    lsn last{0};
    for (;;) {
      const uint64_t position = reader.position();
      auto frame = co_await reader.next();
      if (!frame) co_return fail(frame.error());
      if (!*frame) break;
      last = (*frame)->header.lsn;
      if (last < known.trim) continue;
      // The oldest file may begin below the trim point; from there on there must be no gap.
      if (!is_synced && last != expected && !MILLRACE_FAULT(gap_believed)) {
        is_cut = true;
        break;
      }
      if (last != expected && is_synced)
        co_return fail(errc::corruption, "{} goes on with frame {} at byte {}, but frame {} is missing", path,
                       last, position, expected);
      expected = last.next();
      auto redone = redo(**frame, fmt::format("{} at byte {}", path, position));
      if (!redone) co_return fail(redone.error());
    }
    if (!is_synced && is_cut) {
      log::warn("a power cut took records of durability os or memory shard={} file={} frame={}",
                options_.shard, path, expected);
      auto forgotten = co_await l.files->forget_frames(*c.file);
      if (!forgotten) co_return fail(forgotten.error());
      continue;
    }
    auto later = co_await reader.find_later(std::max(known.trim, last.next()));
    if (!later) co_return fail(later.error());
    if (*later && !is_synced)
      log::warn("a power cut took records of durability os or memory shard={} file={} frame={}",
                options_.shard, path, expected);
    if (*later && is_synced)
      co_return fail(errc::corruption,
                     "{} is damaged at byte {}: no frame there, but frame {} at byte {} is intact", path,
                     reader.position(), (*later)->header.lsn, (*later)->position);
    if (last >= known.trim && last.value() != 0) l.files->adopt(*c.file, c.first, last);
  }
  if (expected < known.durable_end)
    co_return fail(errc::corruption, "the log in {} ends before frame {}, but frames up to {} were durable",
                   layout::wal_directory(options_.data_dir, options_.shard.value(), l.which), expected,
                   known.durable_end.value() - 1);
  co_return expected;
}

void store_core::note_lane(const topic_partition_id& id, lsn at) {
  const partition_log* log = find(id);
  if (log && which_lane(*log) != storage::lane_of(at)) is_unsettled_ = true;
}

result<void> store_core::redo(const wal::found_frame& frame, const std::string& where) {
  wal::entry_cursor entries(frame.bytes, frame.header);
  while (const std::optional<wal::entry> e = entries.next()) {
    switch (e->kind) {
      case wal::entry_kind::batch: {
        const auto entry = wal::decode_batch(e->body);
        if (!entry) return fail(errc::corruption, "{} holds a batch entry that is too short", where);
        note_lane(entry->id, frame.header.lsn);
        MR_TRY(redo_batch(frame, *entry, where));
        break;
      }
      case wal::entry_kind::cursor: {
        const auto entry = wal::decode_cursor(e->body);
        if (!entry) return fail(errc::corruption, "{} holds a cursor entry of a wrong size", where);
        note_lane(entry->key.input, frame.header.lsn);
        if (entry->next_offset < 0) {
          cursors_.erase(entry->key);
        } else {
          cursors_[entry->key] = entry->next_offset;
        }
        break;
      }
      case wal::entry_kind::log_start: {
        const auto entry = wal::decode_log_start(e->body);
        if (!entry) return fail(errc::corruption, "{} holds a log start entry of a wrong size", where);
        note_lane(entry->id, frame.header.lsn);
        if (partition_log* log = find(entry->id)) {
          log->advance_high_watermark(log->log_end());
          log->advance_log_start(std::min(entry->start, log->log_end()));
        }
        break;
      }
      case wal::entry_kind::tail: {
        const auto entry = wal::decode_tail(e->body);
        if (!entry) return fail(errc::corruption, "{} holds a tail entry that is too short", where);
        partition_log* log = find(entry->id);
        if (!log || log->segments().empty()) break;
        segment& active = log->segments().back();
        // The checkpoint still shows the unaligned end: the block in the file may be torn by now.
        if (active.base == entry->segment_base && active.written == entry->position + entry->bytes.size()) {
          if (active.has_sums) {
            active.sums = std::make_shared<block_sums>(active.base);
            active.sums->rest_end = active.written;
          }
          log->is_finished = false;
          active.written = entry->position;
          active.tail = slice::copy_of(entry->bytes);
        }
        break;
      }
      default:
        return fail(errc::not_supported,
                    "{} holds an entry of kind {}, which this version of Millrace does not know", where,
                    static_cast<int>(e->kind));
    }
  }
  if (entries.is_malformed())
    return fail(errc::corruption, "{} holds entries that do not fit the frame", where);
  return {};
}

result<void> store_core::redo_batch(const wal::found_frame& frame, const wal::batch_entry& entry,
                                    const std::string& where) {
  partition_log* log = find(entry.id);
  if (!log || (frame.header.lsn < log->redo_from() &&
               storage::lane_of(frame.header.lsn) == storage::lane_of(log->redo_from())))
    return {};
  const auto header = protocol::parse_batch(entry.batch);
  if (!header || header->size_bytes() != entry.batch.size())
    return fail(errc::corruption, "{} holds something that is not a record batch", where);
  const offset base(header->base_offset);
  const offset last(header->last_offset());
  if (base < log->log_end()) {
    // Spilled before the checkpoint, or relogged.
    if (last >= log->log_end())
      return fail(errc::corruption, "{} holds offsets {} to {} of {} where {} comes next", where, base, last,
                  log->directory_name(), log->log_end());
    return {};
  }
  if (base > log->log_end())
    return fail(errc::corruption, "{} goes on with offset {} of {}, but offset {} is missing", where, base,
                log->directory_name(), log->log_end());
  log->epochs().note(leader_epoch(header->leader_epoch), base);
  log->push({base, last, header->max_timestamp, frame.header.lsn, frame.bytes.sub(entry.batch)});
  const auto known_to = producers_end_.find(entry.id);
  const bool is_news = known_to == producers_end_.end() || base >= known_to->second;
  if (is_news && header->has_producer() && !header->is_control()) {
    producer_batch accepted;
    accepted.first_sequence = header->base_sequence;
    accepted.last_sequence = header->last_sequence();
    accepted.base_offset = base;
    accepted.last_offset = last;
    accepted.timestamp_ms = header->max_timestamp;
    log->producers().update(producer_id(header->producer_id), producer_epoch(header->producer_epoch),
                            accepted, frame.header.wall_clock_ms);
  }
  return {};
}

}  // namespace millrace::storage
