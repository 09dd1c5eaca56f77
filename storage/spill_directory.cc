// The part of the spill that makes, clears and removes the directories of partitions and the files in them.
#include <algorithm>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/log.h"
#include "runtime/fs.h"
#include "storage/layout.h"
#include "storage/spill.h"

namespace millrace::storage {

namespace {

namespace fs = runtime::fs;

constexpr std::string_view segment_suffixes[] = {".log", ".index", ".timeindex", ".sums"};

}  // namespace

// The directory as it must be before the first write of this run: ours, and without files that an
// earlier run wrote behind what the checkpoint knows.
task<result<void>> spiller::prepare_directory(partition_log& log) {
  const std::string directory = directory_of(log);
  auto entries = co_await fs::list_directory(directory);
  if (!entries && entries.error().code != errc::not_found) co_return fail(entries.error());
  if (entries && log.segments().empty()) {
    auto cleared = co_await clear_directory(log);
    if (!cleared) co_return cleared;
    entries = fail(errc::not_found);
  }
  if (entries) {
    std::unordered_set<std::string> known;
    for (const segment& s : log.segments()) known.insert(segment_stem(s.base));
    for (const runtime::directory_entry& entry : *entries) {
      const size_t dot = entry.name.rfind('.');
      const bool is_segment = std::ranges::any_of(
          segment_suffixes, [&entry](std::string_view suffix) { return entry.name.ends_with(suffix); });
      const bool is_left_over = entry.name.ends_with(layout::deleted_suffix) ||
                                entry.name.ends_with(layout::swap_suffix) ||
                                (is_segment && !known.contains(entry.name.substr(0, dot)));
      if (!is_left_over) continue;
      auto removed = co_await fs::unlink(directory + "/" + entry.name);
      if (!removed) co_return removed;
    }
    log.has_directory = true;
    co_return {};
  }
  auto made = co_await fs::make_directory(directory);
  if (!made) co_return made;
  const std::string id = layout::format_partition_metadata(log.id().topic);
  const bytes_view id_bytes = as_bytes(id);
  auto named = co_await fs::replace_file(layout::partition_metadata(directory), id_bytes);
  if (!named) co_return named;
  auto synced = co_await fs::sync_directory(options_.data_dir);
  if (!synced) co_return synced;
  log.has_directory = true;
  co_return {};
}

// Of a partition without segments: what a deleted topic of its name has left, or a run that ended before its
// first checkpoint.
task<result<void>> spiller::clear_directory(partition_log& log) {
  const std::string directory = directory_of(log);
  auto present = co_await fs::exists(directory);
  if (!present) co_return fail(present.error());
  if (!*present) co_return {};
  files_.drop(directory + "/");
  log.has_directory = false;
  co_return co_await fs::remove_tree(directory);
}

task<result<void>> spiller::tidy(partition_log& log) {
  if (log.has_directory || log.segments().empty()) co_return {};
  co_return co_await prepare_directory(log);
}

// Removes the files of a segment that a crash, or a full disk, has kept from beginning: they may have a
// length, and nothing in them.
task<result<void>> spiller::drop_unborn(partition_log& log) {
  const offset base = log.spilled_end();
  if (log.segments().back().base == base) co_return {};
  const std::string directory = directory_of(log);
  auto present = co_await fs::exists(layout::log_file(directory, base));
  if (!present || !*present) co_return {};
  for (const std::string& path : layout::files_of_segment(directory, base)) {
    auto removed = co_await fs::unlink(path);
    if (!removed && removed.error().code != errc::not_found) co_return removed;
  }
  co_return co_await fs::sync_directory(directory);
}

task<result<void>> spiller::remove_files(std::string topic_name, topic_partition_id id) {
  const std::string directory = layout::partition_directory(options_.data_dir, topic_name, id.partition);
  files_.drop(directory + "/");
  auto present = co_await fs::exists(directory);
  if (!present || !*present) co_return {};
  // Out of the way in one step, so that a topic of the same name may come at once.
  const std::string doomed = directory + "." + id.topic.to_string() + "-delete";
  auto renamed = co_await fs::rename(directory, doomed);
  if (!renamed) co_return renamed;
  co_return co_await fs::remove_tree(doomed);
}

task<std::vector<std::string>> spiller::doom_segment(std::string directory, offset base) {
  std::vector<std::string> doomed;
  for (const std::string& path : layout::files_of_segment(directory, base)) {
    const std::string after = path + std::string(layout::deleted_suffix);
    auto renamed = co_await fs::rename(path, after);
    files_.drop(path);
    if (renamed) {
      doomed.push_back(after);
    } else if (renamed.error().code != errc::not_found) {
      log::warn("segment file left behind reason=\"{}\"", to_string(renamed.error()));
    }
  }
  co_return doomed;
}

}  // namespace millrace::storage
