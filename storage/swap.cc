// Puts compacted segments into the place of those that they were made of.
//
//   1. the names of the new files, which end in ".swap", are made durable, as their contents are
//   2. a checkpoint names the new segments, marked as swapping; from here on they are the log
//   3. each new file takes the name of the first segment that it replaces; the directory is synced
//   4. the files of the others get names that end in ".deleted" and go as those of retention do
//   5. a checkpoint without the marks is written
//
// A crash before 2 leaves the old segments, and files that no checkpoint names: they are removed. After it
// the next start finishes 3 before it serves anybody. New ".swap" files are not made before 5 is durable, for
// a start that found a mark would take them.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "runtime/fs.h"
#include "storage/fault.h"
#include "storage/layout.h"
#include "storage/store_core.h"

namespace millrace::storage {

namespace {

// Puts the new segment where its sources are; those.
std::vector<segment> replace_sources(std::vector<segment>& segments, const std::vector<offset>& sources,
                                     const segment& made) {
  const auto first = std::ranges::find(segments, sources.front(), &segment::base);
  MR_ASSERT(segments.end() - first > static_cast<std::ptrdiff_t>(sources.size()));
  const auto end = first + static_cast<std::ptrdiff_t>(sources.size());
  MR_ASSERT(std::prev(end)->base == sources.back());
  std::vector<segment> replaced(first, end);
  *first = made;
  segments.erase(first + 1, end);
  return replaced;
}

}  // namespace

bool store_core::is_being_compacted(const topic_partition_id& id) const {
  return compacting_ == id || std::ranges::any_of(compacted_, [&id](const auto& c) { return c.id == id; });
}

// What a checkpoint says of a log whose new segments are about to take their place.
void store_core::show_compacted(checkpoint_partition& p) const {
  if (!are_swaps_named_) return;
  for (const compacted_log& c : compacted_) {
    if (c.id != p.id) continue;
    for (const segment_swap& s : c.swaps) {
      if (s.is_done) continue;
      segment made = s.made;
      made.is_swapping = true;
      replace_sources(p.segments, s.sources, made);
    }
    p.cleaned_to = c.cleaned_to;
  }
}

task<result<void>> store_core::swap_compacted() {
  std::vector<topic_partition_id> held;
  for (const compacted_log& c : compacted_) {
    if (!find(c.id)) continue;
    hold(c.id);
    held.push_back(c.id);
  }
  auto done = swap_held();
  auto outcome = co_await done;
  for (const topic_partition_id& id : held) release(id);
  co_return outcome;
}

task<result<void>> store_core::swap_held() {
  std::erase_if(compacted_, [this](const compacted_log& c) { return !find(c.id); });
  for (const compacted_log& c : compacted_) {
    if (c.swaps.empty() || MILLRACE_FAULT(swap_names_not_synced)) continue;
    auto named = co_await runtime::fs::sync_directory(spiller_.directory_of(*find(c.id)));
    if (!named) co_return named;
  }
  if (MILLRACE_FAULT(compacted_before_in_place))
    for (const compacted_log& c : compacted_)
      for (const segment_swap& s : c.swaps)
        for (const offset base : s.sources) {
          auto doomed = spiller_.doom_segment(spiller_.directory_of(*find(c.id)), base);
          co_await doomed;
        }
  auto synced = co_await sync_segments();
  if (!synced) co_return synced;
  are_swaps_named_ = true;
  if (!MILLRACE_FAULT(swapped_before_checkpoint)) {
    auto written = co_await write_checkpoint(false);
    if (!written) co_return written;
  }
  for (compacted_log& c : compacted_) {
    auto swapped = co_await swap_log(c);
    if (!swapped) co_return swapped;
  }
  compacted_.clear();
  if (MILLRACE_FAULT(swap_mark_stays)) {
    are_swaps_named_ = false;
    co_return {};
  }
  auto written = co_await write_checkpoint(false);
  if (written) are_swaps_named_ = false;
  co_return written;
}

task<result<void>> store_core::swap_log(compacted_log& c) {
  partition_log* log = find(c.id);
  MR_ASSERT(log != nullptr);  // held
  const std::shared_ptr<name_lock> names = log->names();
  auto alone = name_lock::begin_renaming(names);
  co_await alone;
  auto renamed = rename_swaps(*log, c);
  auto outcome = co_await renamed;
  names->end_renaming();
  if (!outcome) co_return outcome;
  log->set_cleaned_to(c.cleaned_to);
  // Else consumers would be sent what is gone from the segments.
  cached_bytes_ -= log->cache().drop_spilled_below(c.cleaned_to);
  co_return {};
}

// Requires: nobody opens the log's files.
task<result<void>> store_core::rename_swaps(partition_log& log, compacted_log& c) {
  const std::string directory = spiller_.directory_of(log);
  uint64_t before = 0, after = 0;
  dead_segments dead{&log, {}};
  for (segment_swap& s : c.swaps) {
    // The segment itself first: where that fails all is as it was.
    for (const std::string& path : layout::files_of_segment(directory, s.made.base)) {
      result<runtime::file> old = fail(errc::not_found);
      if (!s.is_done) old = co_await runtime::file::open(path, {.read_only = true});
      auto renamed = co_await runtime::fs::rename(layout::swap_name(path), path);
      if (!renamed && !(s.is_done && renamed.error().code == errc::not_found)) co_return renamed;
      files_.drop(path);
      if (s.is_done) continue;
      s.is_done = true;
      // What is replaced gives its blocks back when this last handle is closed, instead of here and now.
      if (old) doomed_.push_back({runtime::reactor::current().now(), {}, std::move(*old)});
      s.made.is_swapping = true;
      std::erase_if(told_, [&path](const std::string& what) { return what.starts_with(path); });
      std::vector<segment> replaced = replace_sources(log.segments(), s.sources, s.made);
      for (const segment& r : replaced) before += r.size_bytes();
      after += s.made.size_bytes();
      dead.segments.insert(dead.segments.end(), replaced.begin() + 1, replaced.end());
    }
  }
  if (c.swaps.empty()) co_return {};
  auto synced = co_await runtime::fs::sync_directory(directory);
  if (!synced) co_return synced;
  for (const segment_swap& s : c.swaps)
    for (segment& there : log.segments())
      if (there.base == s.made.base) there.is_swapping = false;
  doomed_changed_.set();
  log::info("log compacted topic={} partition={} below={} bytes={} bytes_were={} segments={}",
            log.topic_name(), log.partition(), c.cleaned_to, after, before, c.swaps.size());
  auto retired = retire_files(std::move(dead));
  co_await retired;
  co_return {};
}

// What a crash left between the two checkpoints.
task<result<void>> store_core::finish_swaps(partition_log& log) {
  bool is_any = false;
  const std::string directory = spiller_.directory_of(log);
  for (segment& s : log.segments()) {
    if (!s.is_swapping || MILLRACE_FAULT(swap_not_finished)) continue;
    is_any = true;
    for (const std::string& path : layout::files_of_segment(directory, s.base)) {
      auto renamed = co_await runtime::fs::rename(layout::swap_name(path), path);
      if (!renamed && renamed.error().code != errc::not_found) co_return renamed;
    }
    s.is_swapping = false;
  }
  if (!is_any) co_return {};
  are_swaps_named_ = true;
  co_return co_await runtime::fs::sync_directory(directory);
}

// At a clean stop: what no checkpoint names goes, the rest is finished.
task<result<void>> store_core::settle_compacted() {
  if (are_swaps_named_) co_return co_await swap_compacted();
  for (const compacted_log& c : compacted_) {
    const partition_log* log = find(c.id);
    if (!log) continue;
    const std::string directory = spiller_.directory_of(*log);
    for (const segment_swap& s : c.swaps)
      for (const std::string& path : layout::files_of_segment(directory, s.made.base)) {
        auto removed = co_await runtime::fs::unlink(layout::swap_name(path));
        if (!removed && removed.error().code != errc::not_found) co_return removed;
      }
  }
  compacted_.clear();
  co_return {};
}

}  // namespace millrace::storage
