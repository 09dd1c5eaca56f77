#include "storage/replace_shards.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <unordered_map>
#include <utility>

#include "runtime/fs.h"
#include "storage/checkpoint.h"
#include "storage/layout.h"
#include "storage/shard_store.h"

namespace millrace::storage {

namespace {

namespace fs = runtime::fs;
using runtime::task;

std::string pending_suffix(uint32_t shards) {
  return fmt::format(".of-{}", shards);
}

// "wal.7" with prefix "wal." -> 7
std::optional<uint32_t> number_after(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  uint32_t number = 0;
  const char* end = name.data() + name.size();
  const auto [stop, failure] = std::from_chars(name.data() + prefix.size(), end, number);
  if (failure != std::errc() || stop != end) return std::nullopt;
  return number;
}

}  // namespace

task<result<void>> write_replaced_checkpoints(replacement plan) {
  std::unordered_map<topic_partition_id, uint32_t> shard_of_partition;
  for (uint32_t shard = 0; shard < plan.shards_after; ++shard)
    for (const partition_spec& spec : plan.specs_after[shard]) shard_of_partition[spec.id] = shard;

  std::vector<checkpoint> after(plan.shards_after);
  lsn next_synced = first_lsn(lane::synced);
  lsn next_unsynced = first_lsn(lane::unsynced);
  for (uint32_t shard = 0; shard < plan.shards_before; ++shard) {
    auto store = co_await shard_store::open(plan.options_before[shard], plan.specs_before[shard]);
    if (!store) co_return fail(store.error());
    auto closed = co_await (*store)->close();
    if (!closed) co_return closed;
    auto before = co_await load_checkpoint(layout::checkpoint_file(plan.data_dir, shard));
    if (!before) co_return fail(before.error());
    next_synced = std::max(next_synced, before->synced.durable_end);
    next_unsynced = std::max(next_unsynced, before->unsynced.durable_end);
    for (checkpoint_partition& p : before->partitions) {
      const auto found = shard_of_partition.find(p.id);
      if (found == shard_of_partition.end()) continue;
      p.redo_from = lsn(0);
      after[found->second].partitions.push_back(std::move(p));
    }
    for (const auto& item : before->cursors) {
      const auto found = shard_of_partition.find(item.first.input);
      after[found == shard_of_partition.end() ? 0 : found->second].cursors.push_back(item);
    }
  }
  for (uint32_t shard = 0; shard < plan.shards_after; ++shard) {
    checkpoint& c = after[shard];
    c.shard = shard;
    c.is_clean = true;
    // Above every frame that may still lie in the WAL of any old shard.
    c.synced = {next_synced, next_synced};
    c.unsynced = {next_unsynced, next_unsynced};
    std::sort(c.cursors.begin(), c.cursors.end());
    const std::vector<std::byte> bytes = encode(c);
    auto written = co_await fs::replace_file(
        layout::checkpoint_file(plan.data_dir, shard) + pending_suffix(plan.shards_after), bytes);
    if (!written) co_return written;
  }
  co_return {};
}

task<result<void>> finish_replacement(std::string data_dir, uint32_t shards) {
  auto entries = co_await fs::list_directory(data_dir);
  if (!entries) co_return fail(entries.error());
  const std::string suffix = pending_suffix(shards);
  bool changed = false;
  for (const runtime::directory_entry& entry : *entries) {
    if (!entry.name.starts_with("checkpoint.") || !entry.name.ends_with(suffix)) continue;
    const std::string from = data_dir + "/" + entry.name;
    auto renamed = co_await fs::rename(from, from.substr(0, from.size() - suffix.size()));
    if (!renamed) co_return renamed;
    changed = true;
  }
  // The new checkpoints are in place before anything they replace goes away.
  if (changed) {
    auto synced = co_await fs::sync_directory(data_dir);
    if (!synced) co_return synced;
  }
  for (const runtime::directory_entry& entry : *entries) {
    const std::string path = data_dir + "/" + entry.name;
    result<void> removed;
    const auto wal = number_after(entry.name, "wal.");
    const auto shard = wal ? wal : number_after(entry.name, "wal-unsynced.");
    if (shard && *shard >= shards) {
      removed = co_await fs::remove_tree(path);
    } else if (const auto number = number_after(entry.name, "checkpoint."); number && *number >= shards) {
      removed = co_await fs::unlink(path);
    } else if (entry.name.starts_with("checkpoint.") && entry.name.find(".of-") != std::string::npos &&
               !entry.name.ends_with(suffix)) {
      removed = co_await fs::unlink(path);  // of an attempt that was given up
    }
    if (!removed) co_return removed;
  }
  co_return {};
}

task<result<bool>> checkpoints_are_clean(std::string data_dir, uint32_t shards) {
  for (uint32_t shard = 0; shard < shards; ++shard) {
    auto c = co_await load_checkpoint(layout::checkpoint_file(data_dir, shard));
    if (!c && c.error().code == errc::not_found) co_return false;
    if (!c) co_return fail(c.error());
    if (!c->is_clean) co_return false;
  }
  co_return true;
}

}  // namespace millrace::storage
