#include "tests/sim/model.h"

#include <algorithm>
#include <fmt/format.h>

namespace millrace::sim_test {

namespace {
std::string name_of(const topic_partition_id& id) {
  return fmt::format("{}/{}", id.topic.to_string(), id.partition);
}
}  // namespace

void model::know(const topic_partition_id& id, batch_seen batch, storage::durability kept) {
  batch.survives = survives(kept);
  partition_model& p = partitions[id];
  const auto [at, is_new] = p.certain.emplace(batch.base, batch);
  if (is_new) return;
  if (at->second.name != batch.name || at->second.next != batch.next)
    fail("{}: offset {} holds {} and {}", name_of(id), batch.base, at->second.name, batch.name);
  if (at->second.digest == 0) at->second.digest = batch.digest;
  if (batch.digest != 0 && at->second.digest != batch.digest)
    fail("{}: the bytes of {} at offset {} have changed", name_of(id), batch.name, batch.base);
}

void model::saw_watermark(const topic_partition_id& id, int64_t watermark, storage::durability kept) {
  partition_model& p = partitions[id];
  for (int e = 0; e <= static_cast<int>(survives(kept)); ++e)
    if (watermark > p.watermark[e]) p.watermark[e] = watermark;
}

void model::saw_log_start(const topic_partition_id& id, int64_t log_start, storage::durability kept) {
  partition_model& p = partitions[id];
  for (int e = 0; e <= static_cast<int>(survives(kept)); ++e)
    p.log_start_seen[e] = std::max(p.log_start_seen[e], log_start);
}

void model::ended(ending how) {
  for (auto& [id, p] : partitions) p.worst_end = std::max(p.worst_end, how);
}

void model::know(const topic_partition_id& id, record_seen record, storage::durability kept) {
  record.survives = survives(kept);
  partition_model& p = partitions[id];
  const auto [at, is_new] = p.records.emplace(record.offset, record);
  if (!is_new && (at->second.key != record.key || at->second.digest != record.digest))
    fail("{}: offset {} holds {} and {}", name_of(id), record.offset, at->second.key, record.key);
  record_seen& newest = p.newest[record.key];
  if (newest.key.empty() || newest.offset < record.offset) newest = record;
}

void model::compare_marks(const topic_partition_id& id, const partition_model& p, int64_t log_start,
                          int64_t watermark, int64_t log_end) {
  if (!(log_start <= watermark && watermark <= log_end))
    fail("{}: log start {}, high watermark {}, log end {}", name_of(id), log_start, watermark, log_end);
  if (const int64_t promised = p.watermark[static_cast<int>(p.worst_end)]; watermark < promised)
    fail("{}: the high watermark went back from {} to {}", name_of(id), promised, watermark);
  if (const int64_t promised = std::max(p.log_start, p.log_start_seen[static_cast<int>(p.worst_end)]);
      log_start < promised)
    fail("{}: log start went back from {} to {}", name_of(id), promised, log_start);
}

// From now on all of it has been seen, and recovery has made it durable whatever the partition promises.
void model::all_seen(partition_model& p, int64_t log_start, int64_t watermark) {
  for (int64_t& mark : p.watermark) mark = watermark;
  p.log_start = log_start;
  for (int64_t& seen : p.log_start_seen) seen = log_start;
  p.worst_end = ending::stop;
}

bool model::compare(const topic_partition_id& id, const std::vector<record_seen>& found, int64_t log_start,
                    int64_t watermark, int64_t log_end, bool are_tombstones_kept, int64_t held_from) {
  partition_model& p = partitions[id];
  compare_marks(id, p, log_start, watermark, log_end);
  std::map<int64_t, const record_seen*> at;
  std::map<std::string, const record_seen*> newest;
  for (const record_seen& r : found) {
    if (!at.empty() && r.offset <= at.rbegin()->first)
      fail("{}: offset {} follows {}", name_of(id), r.offset, at.rbegin()->first);
    at[r.offset] = &r;
    newest[r.key] = &r;
  }
  if (!at.empty() && at.rbegin()->first >= watermark)
    fail("{}: offset {} is readable, the high watermark is {}", name_of(id), at.rbegin()->first, watermark);
  bool lost_a_suffix = false;
  for (const auto& [offset, r] : p.records) {
    if (offset < log_start) continue;
    if (offset >= watermark && r.survives < p.worst_end) {
      lost_a_suffix = true;
      continue;
    }
    const auto there = at.find(offset);
    if (there != at.end() && (there->second->key != r.key || there->second->digest != r.digest))
      fail("{}: offset {} held {} and now holds {}", name_of(id), offset, r.key, there->second->key);
    if (there == at.end() && offset >= held_from)
      fail("{}: {} at offset {} is gone before a processor at {} has read it", name_of(id), r.key, offset,
           held_from);
  }
  for (const auto& [key, r] : p.newest) {
    const auto there = newest.find(key);
    if (r.offset >= watermark && r.survives < p.worst_end) continue;
    const bool may_be_gone = r.offset < log_start || (r.is_tombstone && !are_tombstones_kept);
    if (there == newest.end() ? !may_be_gone : there->second->offset < r.offset && r.offset >= log_start)
      fail("{}: the newest of {} was at offset {}{} and is {}", name_of(id), key, r.offset,
           r.is_tombstone ? " (a tombstone)" : "",
           there == newest.end() ? "gone" : fmt::format("at {} now", there->second->offset));
  }
  if (lost_a_suffix) ++suffixes_lost;
  p.records.clear();
  std::erase_if(p.newest, [watermark](const auto& item) { return item.second.offset >= watermark; });
  for (record_seen r : found) {
    r.survives = ending::power_cut;
    p.records.emplace(r.offset, r);
    record_seen& known = p.newest[r.key];
    if (known.key.empty() || known.offset <= r.offset) known = r;
  }
  for (auto& [key, r] : p.newest) r.survives = ending::power_cut;
  all_seen(p, log_start, watermark);
  return !lost_a_suffix;
}

bool model::compare(const topic_partition_id& id, const std::vector<batch_seen>& found, int64_t log_start,
                    int64_t watermark, int64_t log_end) {
  partition_model& p = partitions[id];
  compare_marks(id, p, log_start, watermark, log_end);

  std::map<int64_t, const batch_seen*> at;
  std::set<std::string> names;
  int64_t expected = -1;
  for (const batch_seen& batch : found) {
    if (expected >= 0 && batch.base != expected)
      fail("{}: {} begins at {}, expected {}", name_of(id), batch.name, batch.base, expected);
    if (expected < 0 && batch.base > log_start)
      fail("{}: the first batch begins at {}, log start is {}", name_of(id), batch.base, log_start);
    expected = batch.next;
    if (!names.insert(batch.name).second) fail("{}: {} is there twice", name_of(id), batch.name);
    at[batch.base] = &batch;
  }
  if (expected >= 0 && expected != watermark)
    fail("{}: batches end at {}, the high watermark is {}", name_of(id), expected, watermark);
  bool lost_a_suffix = false;
  for (const auto& [base, batch] : p.certain) {
    if (batch.next <= log_start) continue;
    if (base >= watermark && batch.survives < p.worst_end) {
      lost_a_suffix = true;
      continue;
    }
    const auto there = at.find(base);
    if (there == at.end()) {
      fail("{}: {} at offset {} was certain and is lost (found up to {})", name_of(id), batch.name, base,
           watermark);
    } else if (there->second->name != batch.name) {
      fail("{}: offset {} held {} and now holds {}", name_of(id), base, batch.name, there->second->name);
    } else if (batch.digest != 0 && there->second->digest != batch.digest) {
      fail("{}: the bytes of {} at offset {} have changed", name_of(id), batch.name, base);
    }
  }
  if (lost_a_suffix) ++suffixes_lost;
  p.certain.clear();
  for (const batch_seen& batch : found) p.certain.emplace(batch.base, batch);
  all_seen(p, log_start, watermark);
  return !lost_a_suffix;
}

}  // namespace millrace::sim_test
