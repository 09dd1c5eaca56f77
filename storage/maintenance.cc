// What goes on behind the acknowledgements: spilling, relogging, checkpoints, recycling, eviction, and the
// clean stop. One coroutine does all of it, one step after the other.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "runtime/file.h"
#include "runtime/fs.h"
#include "runtime/reactor.h"
#include "runtime/when_all.h"
#include "storage/fault.h"
#include "storage/layout.h"
#include "storage/store_core.h"
#include "storage/wal/frame.h"

namespace millrace::storage {

namespace {
constexpr auto retry_interval = std::chrono::milliseconds(100);
// Partitions that are spilled, synced or finished at the same time.
constexpr size_t at_a_time_max = 32;
}  // namespace

void store_core::become_read_only(const error& reason) {
  if (read_only_) return;
  read_only_ = error{errc::read_only, fmt::format("shard {} is read-only until the broker restarts: {}",
                                                  options_.shard, reason.message)};
  log::error("shard is read-only shard={} reason=\"{}\"", options_.shard, to_string(reason));
  room_.notify_all();
  maintenance_work_.set();
  compaction_changed_.notify_all();
}

// Between hold() and release() remove() does not destroy the partition.
void store_core::release(const topic_partition_id& id) {
  maintained_.erase(id);
  maintained_changed_.notify_all();
}

struct store_core::line_up {
  std::vector<topic_partition_id> ids;
  partition_step step;
  size_t next = 0;
  result<void> outcome;
};

task<void> store_core::work_off(line_up& line) {
  while (line.next < line.ids.size() && line.outcome) {
    const topic_partition_id id = line.ids[line.next++];
    result<void> done = co_await (this->*line.step)(id);
    if (!done && line.outcome) line.outcome = done;
  }
}

// Does `step` for each partition, some at a time: what they sync then shares the file system's own commits,
// and a segment that ends, which takes a dozen steps on the disk, holds up its own partition only.
task<result<void>> store_core::side_by_side(std::vector<topic_partition_id> ids, partition_step step) {
  line_up line{std::move(ids), step};
  std::vector<task<void>> workers;
  for (size_t i = 0; i < std::min(line.ids.size(), at_a_time_max); ++i) workers.push_back(work_off(line));
  co_await runtime::when_all(std::move(workers));
  co_return line.outcome;
}

task<void> store_core::maintain() {
  while (!is_closing_ && !read_only_) {
    maintenance_work_.reset();
    result<void> done = co_await maintain_once();
    if (done) {
      if (spill_waits_for_space_) log::info("the disk has space again shard={}", options_.shard);
      spill_waits_for_space_ = false;
      room_.notify_all();
      if (!maintenance_work_.is_set()) co_await maintenance_work_.wait();
    } else if (done.error().code == errc::disk_full) {
      // Everything is still in the WAL and in memory: appends stop, reads go on, and it is tried again.
      if (!spill_waits_for_space_) log::error("{} shard={}", to_string(done.error()), options_.shard);
      spill_waits_for_space_ = true;
      room_.notify_all();
      co_await runtime::reactor::current().sleep(retry_interval);
    } else if (!is_closing_) {
      become_read_only(done.error());
    }
  }
}

task<result<void>> store_core::maintain_once() {
  // First, as it is what makes space on a full disk.
  if (is_retention_due_) {
    auto retained = co_await retain();
    if (!retained) {
      is_retention_due_ = true;
      co_return retained;
    }
  }
  auto served = co_await serve_compaction();
  if (!served) co_return served;
  commit_mark through;
  for (log_lane& l : lanes_) {
    // Most brokers never write to the unsynced lane.
    if (l.which == lane::unsynced && !l.files->current()) continue;
    auto spare = co_await l.files->prepare_spare();
    if (!spare && spare.error().code != errc::disk_full) co_return spare;
    const size_t closed = l.files->closed_count();
    if (closed > 0) through.include(l.files->closed(closed - 1).last);
    if (unspilled_bytes_ >= options_.unspilled_bytes_max / 2) through.include(l.writer->durable());
  }
  if (through != commit_mark{}) co_return co_await trim(through);
  co_return {};
}

task<result<void>> store_core::serve_compaction() {
  if (spill_asked_) {
    const topic_partition_id id = *spill_asked_;
    auto tidied = co_await tidy(id);
    if (!tidied) co_return tidied;
    auto spilled = co_await spill(id);
    if (!spilled) co_return spilled;
    spill_asked_.reset();
  }
  if (is_swap_due_) {
    auto swapped = co_await swap_compacted();
    if (!swapped) co_return swapped;
    is_swap_due_ = false;
  }
  compaction_changed_.notify_all();
  co_return {};
}

std::vector<topic_partition_id> store_core::ids_by_oldest_unspilled(commit_mark through) const {
  std::vector<std::pair<lsn, topic_partition_id>> found;
  for (const auto& [id, log] : logs_) {
    const tail_cache& cache = log->cache();
    if (!cache.has_unspilled()) continue;
    const lsn oldest = cache[cache.unspilled()].at;
    if (oldest <= through.of(storage::lane_of(oldest))) found.emplace_back(oldest, id);
  }
  std::sort(found.begin(), found.end());
  std::vector<topic_partition_id> ids;
  for (const auto& item : found) ids.push_back(item.second);
  return ids;
}

// Makes frames up to `through` unnecessary and recycles what held them.
task<result<void>> store_core::trim(commit_mark through) {
  if (read_only_) co_return fail(*read_only_);
  uint64_t closed_bytes = 0;
  for (const log_lane& l : lanes_)
    for (size_t i = 0; i < l.files->closed_count(); ++i) closed_bytes += l.files->closed(i).capacity_bytes;
  // Small remains are cheaper to write again than to open a segment for; but a log that fills its files
  // with copies of itself would never come free.
  uint64_t relog_budget = closed_bytes / 4;
  std::vector<topic_partition_id> to_spill;
  for (const topic_partition_id& id : ids_by_oldest_unspilled(through)) {
    partition_log& log = *find(id);
    const uint64_t unspilled = log.cache().unspilled_bytes();
    if (unspilled < std::min(options_.relog_bytes_max, relog_budget) && !has_pressure()) {
      relog_budget -= unspilled;
      relog(log);
    } else {
      to_spill.push_back(id);
    }
  }
  auto spilling = side_by_side(std::move(to_spill), &store_core::spill);
  auto spilled = co_await spilling;
  if (!spilled) co_return spilled;
  if (!MILLRACE_FAULT(checkpoint_before_segment_sync)) {
    auto synced = co_await sync_segments();
    if (!synced) co_return synced;
  }
  co_return co_await write_checkpoint(false);
}

task<result<void>> store_core::spill(topic_partition_id id) {
  if (read_only_) co_return fail(*read_only_);
  partition_log* log = find(id);
  if (!log) co_return {};
  hold(id);
  uint64_t bytes = 0;
  auto spilled = co_await spiller_.spill(*log, bytes);
  unspilled_bytes_ -= bytes;
  cached_bytes_ -= log->cache().evict(log->evicted_through);
  release(id);
  room_.notify_all();
  co_return spilled;
}

// Copies the partition's unspilled batches into the open frame: older frames then need not be kept for it.
void store_core::relog(partition_log& log) {
  const uint64_t bytes = log.cache().unspilled_bytes();
  wal::writer& writer = writer_of(log);
  // Its batches must come in order: none of them may be in this frame already.
  if (log.touched_at == writer.open_lsn() ||
      writer.open_frame().bytes() + bytes > options_.frame_bytes_target)
    writer.seal_open();
  const lsn at = writer.open_lsn();
  for (size_t i = log.cache().unspilled(); i < log.cache().size(); ++i) {
    const slice bytes_before = log.cache()[i].bytes;
    const mutable_bytes body = writer.open_frame().add(wal::entry_kind::batch, wal::entry_flag_relogged,
                                                       wal::batch_prefix_bytes + bytes_before.size());
    wal::encode_partition(body.data(), log.id());
    const mutable_bytes stored = body.subspan(wal::batch_prefix_bytes);
    std::memcpy(stored.data(), bytes_before.data(), bytes_before.size());
    if (MILLRACE_FAULT(relog_forgets)) std::memset(body.data(), 0, wal::batch_prefix_bytes);
    log.cache().relocate(i, at, writer.open_frame().slice_of(stored));
  }
  if (!MILLRACE_FAULT(relog_without_redo_point)) log.set_redo_from(at);
  relogged_bytes_ += bytes;
  touch(log);
  writer.touched();
}

// Always synced: what was durable in a segment must stay so while its block is written again.
task<result<void>> store_core::journal_tail(partition_log& log, offset segment_base, uint64_t position,
                                            slice bytes) {
  wal::writer& writer = *at_lane(lane::synced).writer;
  const mutable_bytes body =
      writer.open_frame().add(wal::entry_kind::tail, 0, wal::tail_prefix_bytes + bytes.size());
  wal::encode_tail_prefix(body.data(), log.id(), segment_base, position);
  std::memcpy(body.data() + wal::tail_prefix_bytes, bytes.data(), bytes.size());
  const lsn at = writer.open_lsn();
  writer.touched();
  co_return co_await writer.wait_durable(at);
}

task<result<void>> store_core::sync_segments() {
  std::vector<topic_partition_id> dirty;
  for (const auto& [id, log] : logs_)
    if (!log->segments().empty() && spiller::needs_sync(log->segments().back())) dirty.push_back(id);
  std::sort(dirty.begin(), dirty.end());
  auto synced = side_by_side(std::move(dirty), &store_core::sync_segment);
  co_return co_await synced;
}

task<result<void>> store_core::sync_segment(topic_partition_id id) {
  partition_log* log = find(id);
  if (!log) co_return {};
  hold(id);
  auto synced = co_await spiller_.sync(*log);
  release(id);
  co_return synced;
}

checkpoint store_core::snapshot() const {
  checkpoint c;
  c.shard = options_.shard.value();
  for (const log_lane& l : lanes_) {
    // The open frame may get more entries than are reflected here, so it is redone.
    const lsn open = l.writer->open_lsn();
    c.of(l.which) = {open, l.writer->open_frame().entries() > 0 ? open.next() : open};
  }
  c.cursors.assign(cursors_.begin(), cursors_.end());
  c.partitions.reserve(logs_.size());
  for (const auto& [id, log] : logs_) {
    const tail_cache& cache = log->cache();
    if (cache.has_unspilled() && !MILLRACE_FAULT(trim_too_far)) {
      const lsn oldest = cache[cache.unspilled()].at;
      lsn& trim = c.of(storage::lane_of(oldest)).trim;
      trim = std::min(trim, oldest);
    }
    checkpoint_partition p;
    p.id = id;
    p.topic_name = log->topic_name();
    p.log_start = log->log_start();
    if (const auto to = moving_log_starts_.find(id); to != moving_log_starts_.end())
      p.log_start = std::max(p.log_start, to->second);
    p.spilled_end = log->spilled_end();
    p.redo_from = log->redo_from();
    p.producers_end = log->log_end();
    p.epochs = log->epochs().starts();
    if (!MILLRACE_FAULT(producers_forgotten))
      p.producers.assign(log->producers().entries().begin(), log->producers().entries().end());
    p.segments = log->segments();
    p.cleaned_to = log->cleaned_to();
    show_compacted(p);
    if (MILLRACE_FAULT(tail_forgotten) && !p.segments.empty()) p.segments.back().tail = slice();
    c.partitions.push_back(std::move(p));
  }
  std::sort(c.partitions.begin(), c.partitions.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return c;
}

// Takes closed segments that lie below the log start out of their logs. Their files go when a checkpoint that
// does not name them is durable; until then their partitions are held, lest a new one take the directory's
// name.
std::vector<store_core::dead_segments> store_core::retire_segments() {
  std::vector<dead_segments> dead;
  for (const auto& [id, log] : logs_) {
    std::vector<segment>& segments = log->segments();
    auto alive = segments.begin();
    while (!segments.empty() && alive != std::prev(segments.end()) && alive->end <= log->log_start()) ++alive;
    if (alive == segments.begin() || maintained_.contains(id) || is_being_compacted(id)) continue;
    hold(id);
    dead.push_back({log.get(), {std::move_iterator(segments.begin()), std::move_iterator(alive)}});
    segments.erase(segments.begin(), alive);
  }
  return dead;
}

task<result<void>> store_core::write_checkpoint(bool is_clean) {
  std::vector<dead_segments> dead = retire_segments();
  std::vector<topic_partition_id> held;
  for (const dead_segments& d : dead) held.push_back(d.log->id());
  if (MILLRACE_FAULT(deleted_before_checkpoint))
    for (dead_segments& d : dead) {
      auto retired = retire_files(d);
      co_await retired;
    }
  auto written = co_await write_checkpoint_file(is_clean);
  for (dead_segments& d : dead) {
    if (!written) {
      std::vector<segment>& segments = d.log->segments();
      segments.insert(segments.begin(), std::move_iterator(d.segments.begin()),
                      std::move_iterator(d.segments.end()));
      continue;
    }
    auto retired = retire_files(std::move(d));
    co_await retired;
  }
  for (const topic_partition_id& id : held) release(id);
  co_return written;
}

task<result<void>> store_core::write_checkpoint_file(bool is_clean) {
  const runtime::reactor& shard = runtime::reactor::current();
  const int64_t now_ms = retention_clock_.read(shard.wall_clock_ms(), shard.now());
  for (const auto& [id, log] : logs_) log->producers().expire(now_ms - options_.producer_expiration_ms);
  checkpoint c = snapshot();
  c.is_clean = is_clean;
  if (MILLRACE_FAULT(recycle_before_checkpoint))
    for (log_lane& l : lanes_) l.files->recycle(c.of(l.which).trim);
  // It reflects batches and cursors of frames on their way; none of them may be in it and then be lost.
  for (log_lane& l : lanes_) {
    auto durable = co_await l.writer->wait_durable(lsn(c.of(l.which).durable_end.value() - 1));
    if (!durable) co_return durable;
    if (l.which == lane::synced || MILLRACE_FAULT(unsynced_lane_never_synced)) continue;
    auto synced = co_await l.files->sync_live();
    if (!synced) co_return synced;
  }
  const std::vector<std::byte> bytes = encode(c);
  const std::string path = layout::checkpoint_file(options_.data_dir, options_.shard.value());
  if (MILLRACE_FAULT(checkpoint_in_place)) {
    auto file = co_await runtime::file::open(path, {.create = true, .truncate = true});
    if (!file) co_return fail(file.error());
    auto written = co_await file->write(0, bytes);
    if (!written) co_return written;
  } else {
    auto written = co_await runtime::fs::replace_file(path, bytes);
    if (!written) co_return written;
  }
  ++checkpoints_;
  for (log_lane& l : lanes_) l.files->recycle(c.of(l.which).trim);
  room_.notify_all();
  co_return {};
}

void store_core::keep_cached(frame_record record) {
  if (record.touched.empty()) return;
  cached_frames_bytes_ += record.bytes;
  cached_frames_.push_back(std::move(record));
  evict();
}

// A commit of one small batch takes a block all the same, so what counts is the frames' memory.
void store_core::evict() {
  while (std::max(cached_bytes_, cached_frames_bytes_) > options_.cache_bytes && !cached_frames_.empty()) {
    const frame_record record = std::move(cached_frames_.front());
    cached_frames_.pop_front();
    cached_frames_bytes_ -= record.bytes;
    for (const auto& [log, end] : record.touched) {
      log->evicted_through = std::max(log->evicted_through, record.at);
      cached_bytes_ -= log->cache().evict(record.at);
    }
  }
}

task<result<void>> store_core::stop_cleanly() {
  if (read_only_) co_return fail(*read_only_);
  for (log_lane& l : lanes_) {
    l.writer->seal_open();
    auto durable = co_await l.writer->wait_durable(lsn(l.writer->open_lsn().value() - 1));
    if (!durable) co_return durable;
  }
  std::vector<topic_partition_id> ids;
  for (const auto& [id, log] : logs_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  auto finished = side_by_side(std::move(ids), &store_core::finish);
  co_return co_await finished;
}

task<result<void>> store_core::finish(topic_partition_id id) {
  auto spilled = co_await spill(id);
  if (!spilled) co_return spilled;
  partition_log* log = find(id);
  if (!log) co_return {};
  co_return co_await spiller_.finish(*log);
}

task<result<void>> store_core::close() {
  is_closing_ = true;
  background_end_.request_abort();
  retention_timer_.reset();
  doomed_changed_.set();
  maintenance_work_.set();
  compaction_changed_.notify_all();
  // Frames that wait for space must not keep the broker from stopping: nobody was told of them.
  for (log_lane& l : lanes_) l.writer->stop_waiting_for_space();
  co_await maintenance_gate_.close();
  removal_timer_.reset();
  result<void> outcome = co_await stop_cleanly();
  if (outcome) outcome = co_await settle_compacted();
  for (log_lane& l : lanes_) l.writer->stop();
  co_await writer_gate_.close();
  if (outcome) outcome = co_await write_checkpoint(true);
  if (outcome)
    for (doomed_file& file : doomed_) co_await remove_file(file);
  files_.clear();
  for (log_lane& l : lanes_) {
    auto closed = co_await l.files->close();
    if (outcome) outcome = closed;
  }
  co_return outcome;
}

}  // namespace millrace::storage
