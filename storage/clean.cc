// Compaction of logs that keep the newest record of each key: one coroutine, a log at a time, the filthiest
// first.
//
// What costs time, reading through batches and laying them out anew, is done on a helper thread, a window at
// a time, so the shard goes on in between. The new segments are written beside the old ones; maintenance
// puts them into their place (swap.cc). Until then nothing of the log has changed, and a run may be given up
// at any moment: when the partition is deleted, the disk is full, or something it reads is damaged.
#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "runtime/off_shard.h"
#include "runtime/reactor.h"
#include "storage/compaction.h"
#include "storage/log/batch_filter.h"
#include "storage/log/segment_writer.h"
#include "storage/store_core.h"

namespace millrace::storage {

namespace {

// Read, gone through and written in one step.
constexpr uint64_t window_bytes = 512 * limits::KiB;
// New segments that wait to be put into their place, together, since each time takes two checkpoints.
constexpr uint64_t waiting_bytes_max = 512 * limits::MiB;
constexpr size_t waiting_segments_max = 256;
// Looked at without a pause.
constexpr size_t logs_at_a_time = 32;

}  // namespace

task<void> store_core::compact_now_and_then() {
  runtime::reactor& shard = runtime::reactor::current();
  while (!is_closing_ && !read_only_) {
    const bool is_time = co_await shard.sleep(options_.compaction_interval, &background_end_);
    if (!is_time) break;
    co_await compact_all();
  }
}

// Whether the run over this log is to be given up.
bool store_core::is_compaction_unwanted(const topic_partition_id& id) const {
  const auto log = logs_.find(id);
  return is_closing_ || read_only_ || log == logs_.end() || is_compacted_log_leaving_ ||
         !log->second->config().is_compacted;
}

compaction_scope store_core::compaction_scope_now(const partition_log& log) {
  runtime::reactor& shard = runtime::reactor::current();
  const int64_t now_ms = retention_clock_.read(shard.wall_clock_ms(), shard.now());
  std::optional<offset> held_from;
  if (retention_hold_) held_from = retention_hold_(log);
  return compaction_scope_of(log, now_ms, held_from, {options_.hold_bytes_max, options_.hold_ms_max});
}

task<void> store_core::compact_all() {
  // What an earlier run of the broker left between two checkpoints comes first.
  if (are_swaps_named_) co_await hand_over_compacted();
  for (bool is_more = true; is_more && !is_closing_ && !read_only_;) {
    is_more = false;
    const std::vector<topic_partition_id> dirty = co_await dirty_logs();
    for (const topic_partition_id& id : dirty) {
      if (is_closing_ || read_only_) co_return;
      const bool is_partial = co_await compact_log(id);
      is_more |= is_partial;
      uint64_t bytes = 0;
      size_t segments = 0;
      for (const compacted_log& c : compacted_)
        for (const segment_swap& s : c.swaps) bytes += s.made.written, ++segments;
      if (bytes >= waiting_bytes_max || segments >= waiting_segments_max) co_await hand_over_compacted();
    }
    if (!compacted_.empty()) co_await hand_over_compacted();
  }
}

// Logs that are worth it, the filthiest first.
task<std::vector<topic_partition_id>> store_core::dirty_logs() {
  std::vector<topic_partition_id> all;
  for (const auto& [id, log] : logs_)
    if (log->config().is_compacted && !uncompactable_.contains(id)) all.push_back(id);
  std::sort(all.begin(), all.end());
  std::vector<std::pair<double, topic_partition_id>> dirty;
  for (size_t i = 0; i < all.size(); ++i) {
    if (i % logs_at_a_time == logs_at_a_time - 1) co_await runtime::reactor::current().yield();
    const partition_log* log = find(all[i]);
    if (!log) continue;
    const compaction_scope scope = compaction_scope_now(*log);
    if (scope.is_worth_it(log->config())) dirty.emplace_back(-scope.dirty_ratio(), all[i]);
  }
  std::sort(dirty.begin(), dirty.end());
  std::vector<topic_partition_id> ids;
  for (const auto& [ratio, id] : dirty) ids.push_back(id);
  co_return ids;
}

// Returns when maintenance has put what was compacted into its place, or will not do so any more.
task<void> store_core::hand_over_compacted() {
  is_swap_due_ = true;
  maintenance_work_.set();
  while (is_swap_due_ && !is_closing_ && !read_only_) co_await compaction_changed_.wait();
}

// True if there was no memory for all of its keys, so that another run is to follow.
task<bool> store_core::compact_log(topic_partition_id id) {
  // What is in memory only and would make segments that can be compacted goes into them first.
  spill_asked_ = id;
  maintenance_work_.set();
  while (spill_asked_ && !is_closing_ && !read_only_) co_await compaction_changed_.wait();
  partition_log* log = find(id);
  if (!log || is_closing_ || read_only_ || log->segments().empty() || !log->has_directory) co_return false;
  compaction_scope scope = compaction_scope_now(*log);
  scope.below = std::min(scope.below, log->segments().back().base);
  if (scope.below <= scope.from) co_return false;

  compacting_ = id;
  is_compacted_log_leaving_ = false;
  compacted_log made{.id = id, .cleaned_to = log->cleaned_to(), .swaps = {}};
  auto done = compact_scope(made, scope);
  const result<void> outcome = co_await done;
  if (outcome) {
    ++compactions_;
  } else if (outcome.error().code != errc::disk_full && !is_compaction_unwanted(id)) {
    // The same again would end the same way.
    log::error("a log is not compacted until the broker restarts topic={} partition={} reason=\"{}\"",
               find(id)->topic_name(), id.partition, to_string(outcome.error()));
    uncompactable_.insert(id);
  }
  const bool is_partial = outcome && scope.from < made.cleaned_to && made.cleaned_to < scope.below;
  // Segments that were finished before a run was given up are as good as the old ones.
  if (find(id) && !is_compacted_log_leaving_ && (!made.swaps.empty() || outcome))
    compacted_.push_back(std::move(made));
  compacting_.reset();
  compaction_changed_.notify_all();
  co_return is_partial;
}

task<result<void>> store_core::compact_scope(compacted_log& made, compaction_scope scope) {
  const topic_partition_id id = made.id;
  runtime::reactor& shard = runtime::reactor::current();
  filter_rules rules;
  rules.now_ms = retention_clock_.read(shard.wall_clock_ms(), shard.now());
  rules.delete_retention_ms = find(id)->config().delete_retention_ms;
  for (const auto& [producer, entry] : find(id)->producers().entries())
    if (entry.count > 0) rules.last_of_producer[producer.value()] = entry.newest().last_offset.value();
  auto keys = std::make_unique<key_map>(static_cast<uint64_t>(scope.below.minus(scope.from)),
                                        options_.compaction_map_bytes, options_.compaction_map_load,
                                        shard.random().next());
  batch_filter filter(std::move(rules), *keys);
  auto compacted = compact_by(made, scope, filter);
  result<void> outcome = co_await compacted;
  std::move_only_function<void()> give_memory_back = [&] { keys.reset(); };
  co_await runtime::off_shard(std::move(give_memory_back));
  co_return outcome;
}

task<result<void>> store_core::compact_by(compacted_log& made, compaction_scope scope, batch_filter& filter) {
  const topic_partition_id id = made.id;
  std::vector<offset> bases;
  for (const segment& s : find(id)->segments())
    if (s.end > scope.from && s.base < scope.below) bases.push_back(s.base);
  bool has_room = true;
  const window_step gather = [&](const slice& window) -> result<bool> {
    auto gathered = filter.gather(window, scope.from);
    if (gathered) has_room = *gathered;
    return gathered;
  };
  for (size_t i = 0; i < bases.size() && has_room; ++i) {
    auto walked = co_await walk_segment(id, bases[i], gather);
    if (!walked) co_return walked;
  }
  const offset end = has_room ? scope.below : filter.gathered_end();
  if (end <= scope.from) co_return {};

  // By their bases: segments move up in the list when others go.
  std::vector<std::vector<offset>> groups;
  for (const segment_group& g : compaction_groups(*find(id), end)) {
    groups.emplace_back();
    for (size_t i = g.first; i < g.first + g.count; ++i)
      groups.back().push_back(find(id)->segments()[i].base);
  }
  for (const std::vector<offset>& sources : groups) {
    auto compacted = co_await compact_group(made, sources, filter);
    if (!compacted) co_return compacted;
  }
  made.cleaned_to = end;
  co_return {};
}

// Reads a closed segment from its first batch on. `step` sees each window on a helper thread, and ends the
// walk with false; what it leaves in `kept` goes to `writer`. Both may be null.
task<result<void>> store_core::walk_segment(topic_partition_id id, offset base, const window_step& step,
                                            const std::vector<std::byte>* kept, segment_writer* writer) {
  auto view = co_await checked_view_of(id, base);
  if (!view) co_return fail(view.error());
  offset from = view->base;
  for (uint64_t position = 0; position < view->size_bytes();) {
    if (is_compaction_unwanted(id)) co_return fail(errc::closed, "it is not wanted any more");
    const batch_range range{from, view->end, window_bytes, true};
    auto found = co_await read_batches(*view, position, range);
    if (!found) co_return fail(found.error());
    if (found->bytes.empty()) break;
    position += found->bytes.size();
    from = found->next;
    compacted_bytes_ += found->bytes.size();
    result<bool> goes_on = true;
    std::move_only_function<void()> work = [&] { goes_on = step(found->bytes); };
    co_await runtime::off_shard(std::move(work));
    if (!goes_on) co_return fail(goes_on.error());
    if (writer) {
      auto added = co_await writer->add(*kept);
      if (!added) co_return added;
    }
    if (!*goes_on) break;
    co_await pause_after(found->bytes.size());
  }
  co_return {};
}

task<void> store_core::pause_after(uint64_t bytes) {
  const double seconds = static_cast<double>(bytes) / std::max(options_.compaction_bytes_per_second, 1.0);
  runtime::reactor& shard = runtime::reactor::current();
  if (seconds < 1e-6) {
    co_await shard.yield();
  } else {
    const auto pause = std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(std::min(seconds, 60.0)));
    co_await shard.sleep(pause, &background_end_);
  }
}

task<result<void>> store_core::compact_group(compacted_log& made, const std::vector<offset>& sources,
                                             batch_filter& filter) {
  const topic_partition_id id = made.id;
  const partition_log* log = find(id);
  if (!log) co_return fail(errc::closed, "the partition is gone");
  segment_writer writer(
      {spiller_.directory_of(*log), sources.front(), log->config().index_interval_bytes, options_.direct});
  result<void> outcome = co_await writer.open();
  filter.begin_segments();
  std::vector<std::byte> kept;
  const window_step step = [&](const slice& window) -> result<bool> {
    kept.clear();
    auto filtered = filter.filter(window, kept);
    if (!filtered) return fail(filtered.error());
    return true;
  };
  for (size_t i = 0; i < sources.size() && outcome; ++i)
    outcome = co_await walk_segment(id, sources[i], step, &kept, &writer);
  if (outcome && sources.size() == 1 && !filter.has_changed()) {
    co_await writer.give_up();
    co_return {};
  }
  result<segment> finished = fail(errc::closed);
  if (outcome) finished = co_await writer.finish();
  if (outcome && !finished) outcome = fail(finished.error());
  if (outcome && is_compaction_unwanted(id)) outcome = fail(errc::closed, "it is not wanted any more");
  if (!outcome) {
    co_await writer.give_up();
    co_return outcome;
  }
  segment_swap swap{.sources = sources, .made = std::move(*finished)};
  for (const segment& s : find(id)->segments()) {
    if (!std::ranges::binary_search(sources, s.base)) continue;
    swap.made.end = s.end;
    if (swap.made.created_ms < 0) swap.made.created_ms = s.created_ms;
    swap.made.modified_ms = std::max(swap.made.modified_ms, s.modified_ms);
  }
  made.swaps.push_back(std::move(swap));
  co_return {};
}

}  // namespace millrace::storage
