// What goes for its age, or because its log is too large: on a timer, a partition at a time, in maintenance.
//
// A partition's log start moves first, durably; then a checkpoint without the segments below it is written;
// then their files get names that end in ".deleted", and after file.delete.delay.ms they are removed. A crash
// leaves either the segments, which the next round finds again, or files that no checkpoint names: the first
// round of a run removes those.
#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "runtime/fs.h"
#include "runtime/reactor.h"
#include "storage/fault.h"
#include "storage/store_core.h"

namespace millrace::storage {

namespace {
// After a start, as in Kafka, if the interval is not shorter.
constexpr auto first_check_after = std::chrono::seconds(30);
constexpr int64_t delay_max_ms = 10LL * 365 * 24 * 3600 * 1000;
// A removal that took longer than this is followed by so many times its length without one.
constexpr auto quick_removal = std::chrono::microseconds(500);
constexpr int removal_pause = 4;
constexpr auto removal_pause_max = std::chrono::milliseconds(200);
}  // namespace

void store_core::begin_retention() {
  retention_timer_ = std::make_unique<runtime::timer>([this] {
    is_retention_due_ = true;
    maintenance_work_.set();
  });
  retention_timer_->arm_after(
      std::min<std::chrono::nanoseconds>(options_.retention_check_interval, first_check_after));
  removal_timer_ = std::make_unique<runtime::timer>([this] { doomed_changed_.set(); });
}

task<result<void>> store_core::retain() {
  runtime::reactor& shard = runtime::reactor::current();
  is_retention_due_ = false;
  if (retention_timer_) retention_timer_->arm_after(options_.retention_check_interval);

  std::vector<topic_partition_id> ids;
  for (const auto& [id, log] : logs_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (const topic_partition_id& id : ids) {
    if (is_closing_ || read_only_) co_return {};
    auto done = co_await retain_one(id);
    if (done) done = co_await tidy(id);
    if (done) done = co_await roll_dead(id);
    if (!done) co_return done;
    co_await shard.yield();
  }
  if (!has_dead_segments()) co_return {};
  auto synced = co_await sync_segments();
  if (!synced) co_return synced;
  co_return co_await write_checkpoint(false);
}

task<result<void>> store_core::retain_one(topic_partition_id id) {
  const partition_log* log = find(id);
  if (!log) co_return {};
  runtime::reactor& shard = runtime::reactor::current();
  const int64_t now_ms = retention_clock_.read(shard.wall_clock_ms(), shard.now());
  std::optional<offset> held_from;
  if (retention_hold_ && !MILLRACE_FAULT(retention_passes_cursor)) held_from = retention_hold_(*log);
  const offset to = retention_point(*log, now_ms, held_from, {options_.hold_bytes_max, options_.hold_ms_max});
  if (to <= log->log_start()) co_return {};
  log::info("records go for age or size topic={} partition={} below={} log_start_was={}", log->topic_name(),
            log->partition(), to, log->log_start());
  auto moved = co_await advance_log_start(id, to);
  if (moved || !find(id)) co_return {};
  co_return fail(moved.error());
}

// The active segment of a log that has nothing to say any more is ended, so that it can go.
task<result<void>> store_core::roll_dead(topic_partition_id id) {
  partition_log* log = find(id);
  const auto is_dead = [&log] {
    return log && !log->segments().empty() && log->segments().back().size_bytes() > 0 &&
           log->log_start() == log->log_end();
  };
  if (!is_dead()) co_return {};
  auto spilled = co_await spill(id);
  if (!spilled) co_return spilled;
  log = find(id);
  // Something may have been appended meanwhile.
  if (!is_dead() || log->cache().has_unspilled()) co_return {};
  hold(id);
  auto rolled = co_await spiller_.roll(*log);
  release(id);
  co_return rolled;
}

task<result<void>> store_core::tidy(topic_partition_id id) {
  partition_log* log = find(id);
  if (!log || log->has_directory || log->segments().empty()) co_return {};
  hold(id);
  auto tidied = co_await spiller_.tidy(*log);
  release(id);
  co_return tidied;
}

bool store_core::has_dead_segments() const {
  return std::ranges::any_of(logs_, [](const auto& item) {
    const std::vector<segment>& segments = item.second->segments();
    return segments.size() > 1 && segments.front().end <= item.second->log_start();
  });
}

// Requires: no checkpoint names the segments.
task<void> store_core::retire_files(dead_segments dead) {
  const int64_t delay_ms = std::min(dead.log->config().file_delete_delay_ms, delay_max_ms);
  const runtime::time_point at = runtime::reactor::current().now() + std::chrono::milliseconds(delay_ms);
  const std::string directory = spiller_.directory_of(*dead.log);
  for (const segment& s : dead.segments) {
    auto paths = co_await spiller_.doom_segment(directory, s.base);
    for (std::string& path : paths) doomed_.push_back({at, std::move(path), {}});
    ++retired_segments_;
  }
  doomed_changed_.set();
}

// One at a time and with pauses, for commits would queue behind the disk's own work on what becomes free.
task<void> store_core::remove_doomed_now_and_then() {
  runtime::reactor& shard = runtime::reactor::current();
  while (!is_closing_) {
    const runtime::time_point began = shard.now();
    const auto due =
        std::ranges::find_if(doomed_, [began](const doomed_file& file) { return file.at <= began; });
    if (due == doomed_.end()) {
      doomed_changed_.reset();
      const auto next = std::ranges::min_element(doomed_, {}, &doomed_file::at);
      if (next != doomed_.end()) removal_timer_->arm(next->at);
      co_await doomed_changed_.wait();
      continue;
    }
    doomed_file file = std::move(*due);
    doomed_.erase(due);
    co_await remove_file(file);
    const std::chrono::nanoseconds took = shard.now() - began;
    if (took > quick_removal && !is_disk_full())
      co_await shard.sleep(std::min<std::chrono::nanoseconds>(removal_pause * took, removal_pause_max),
                           &background_end_);
  }
}

task<void> store_core::remove_file(doomed_file& file) {
  auto removed =
      file.nameless.is_open() ? co_await file.nameless.close() : co_await runtime::fs::unlink(file.path);
  if (!removed && removed.error().code != errc::not_found)
    log::warn("segment file left behind reason=\"{}\"", to_string(removed.error()));
}

}  // namespace millrace::storage
