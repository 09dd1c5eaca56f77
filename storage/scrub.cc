// Damage on disk: what is told of it, and the slow round that looks for it.
//
// The scrub reads the segments of all partitions, one after the other, at storage.scrub.bytes.per.second, and
// compares each block with its checksum again, whether it was read in this run or not.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include "base/log.h"
#include "runtime/reactor.h"
#include "storage/layout.h"
#include "storage/store_core.h"

namespace millrace::storage {

namespace {

constexpr uint64_t scrub_step_bytes = 4 * sum_block_bytes;
constexpr auto rest_between_rounds = std::chrono::seconds(60);
// So that one broken disk does not fill the memory.
constexpr size_t told_max = 10'000;

// Topic and partition of a segment's file.
layout::partition_name owner_of(const std::string& directory_name) {
  return layout::parse_partition_directory(directory_name).value_or(layout::partition_name{"?", -1});
}

std::string directory_name_of(const std::string& path) {
  return std::filesystem::path(path).parent_path().filename().string();
}

}  // namespace

bool store_core::is_news(const std::string& what) {
  return told_.size() < told_max && told_.insert(what).second;
}

void store_core::block_damaged(const segment_view& view, uint64_t at, uint64_t bytes) {
  if (!is_news(fmt::format("{} {}", view.path, at))) return;
  ++damaged_blocks_;
  const std::string name = directory_name_of(view.path);
  const layout::partition_name owner = owner_of(name);
  log::error("a block on disk is not what was written topic={} partition={} file={} position={} bytes={}",
             owner.topic, owner.partition, view.path, at, bytes);
}

void store_core::records_damaged(const segment_view& view, uint64_t at, uint64_t bytes, offset from,
                                 offset below) {
  damaged_below_ = below;
  if (!is_news(fmt::format("{} {} {}", view.path, at, from))) return;
  const std::string name = directory_name_of(view.path);
  const layout::partition_name owner = owner_of(name);
  log::error("records are damaged topic={} partition={} offsets={}..{} file={} position={} bytes={}",
             owner.topic, owner.partition, from, below.plus(-1), view.path, at, bytes);
}

void store_core::sums_damaged(const std::string& path, size_t entries) {
  if (!is_news(path)) return;
  damaged_checksums_ += entries;
  const std::string name = directory_name_of(path);
  const layout::partition_name owner = owner_of(name);
  log::error("checksums of a segment are damaged or missing topic={} partition={} file={} blocks={}",
             owner.topic, owner.partition, path, entries);
}

task<void> store_core::scrub() {
  runtime::reactor& shard = runtime::reactor::current();
  while (!is_closing_) {
    std::vector<std::pair<topic_partition_id, offset>> all;
    for (const auto& [id, log] : logs_)
      for (const segment& s : log->segments()) all.emplace_back(id, s.base);
    std::sort(all.begin(), all.end());
    for (const auto& [id, base] : all) {
      for (uint64_t at = 0; !is_closing_;) {
        const uint64_t read = co_await scrub_some(id, base, at);
        if (read == 0) break;
        at += read;
        scrubbed_bytes_ += read;
        const auto pause = std::chrono::nanoseconds(
            static_cast<int64_t>(read * 1'000'000'000 / options_.scrub_bytes_per_second));
        co_await shard.sleep(pause, &background_end_);
      }
      if (is_closing_) co_return;
    }
    co_await shard.sleep(rest_between_rounds, &background_end_);
  }
}

// Bytes that were read; 0 at the end of what checksums there are, and where it cannot be read.
task<uint64_t> store_core::scrub_some(topic_partition_id id, offset base, uint64_t at) {
  auto view = co_await checked_view_of(id, base);
  if (!view || !view->sums || at >= view->summed) co_return 0;
  const uint64_t bytes = std::min(scrub_step_bytes, view->summed - at);
  for (uint64_t n = at / sum_block_bytes; n * sum_block_bytes < at + bytes; ++n) view->sums->forget(n);
  const uint64_t damaged_before = damaged_blocks_;
  auto checked = co_await read_checked(*view, at, bytes);
  if (!checked) {
    if (find(id) && is_news(view->path))
      log::error("a segment cannot be read reason=\"{}\"", to_string(checked.error()));
    co_return 0;
  }
  if (damaged_blocks_ != damaged_before) {
    auto index = co_await index_of(id, base);
    if (index) co_await locate_damage(*view, **index, at, bytes);
  }
  co_return bytes;
}

// Says which records it is.
task<void> store_core::locate_damage(const segment_view& view, const segment_index& index, uint64_t at,
                                     uint64_t bytes) {
  offset from = view.base;
  offset below = view.end;
  for (const offset_index_entry& e : index.offsets()) {
    const offset last = view.base.plus(e.relative_offset);
    if (e.position <= at) from = last;
    if (e.position >= at + bytes) {
      below = last;
      break;
    }
  }
  while (from < below) {
    const uint32_t position = index.position_before(from);
    batch_range range{from, below, sum_block_bytes, true, index.last_offset_at(position)};
    auto found = co_await read_batches(view, position, range);
    const offset next = found ? found->next : damaged_below_;
    if (next <= from) break;
    from = next;
  }
}

}  // namespace millrace::storage
