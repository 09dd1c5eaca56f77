// The partitions of a shard: coming, going, being found.
#include "storage/shard_store.h"

#include <algorithm>
#include <utility>

#include "storage/store_core.h"

namespace millrace::storage {

task<result<std::unique_ptr<shard_store>>> shard_store::open(store_options options,
                                                             std::vector<partition_spec> specs) {
  auto core = std::make_unique<store_core>(std::move(options));
  auto recovered = co_await core->recover(std::move(specs));
  if (!recovered) co_return fail(recovered.error());
  co_return std::unique_ptr<shard_store>(std::move(core));
}

partition_log* store_core::find(const topic_partition_id& id) {
  const auto found = logs_.find(id);
  return found == logs_.end() ? nullptr : found->second.get();
}

void store_core::for_each(const std::function<void(partition_log&)>& visit) {
  for (const auto& [id, log] : logs_) visit(*log);
}

result<partition_log*> store_core::create(partition_spec spec) {
  const topic_partition_id id = spec.id;
  if (logs_.contains(id))
    return fail(errc::already_exists, "partition {} of topic {} exists", id.partition, spec.topic_name);
  auto log = std::make_unique<partition_log>(std::move(spec), options_.epoch);
  partition_log* created = log.get();
  logs_.emplace(id, std::move(log));
  return created;
}

task<result<void>> store_core::remove(topic_partition_id id) {
  while (maintained_.contains(id) || compacting_ == id) {
    if (compacting_ == id) {
      is_compacted_log_leaving_ = true;
      co_await compaction_changed_.wait();
    } else {
      co_await maintained_changed_.wait();
    }
  }
  const auto found = logs_.find(id);
  if (found == logs_.end())
    co_return fail(errc::unknown_topic_or_partition, "no such partition on this shard");
  const std::unique_ptr<partition_log> log = std::move(found->second);
  logs_.erase(found);
  // Frames on their way, and cached ones, no longer know it.
  const auto forget = [&log](frame_record& record) {
    std::erase_if(record.touched, [&log](const auto& item) { return item.first == log.get(); });
  };
  for (log_lane& l : lanes_) {
    std::erase(l.touched, log.get());
    std::for_each(l.sealed_frames.begin(), l.sealed_frames.end(), forget);
  }
  std::for_each(cached_frames_.begin(), cached_frames_.end(), forget);
  unspilled_bytes_ -= log->cache().unspilled_bytes();
  cached_bytes_ -= log->cache().bytes();
  room_.notify_all();
  co_return co_await spiller_.remove_files(log->topic_name(), id);
}

void store_core::reconfigure(partition_log& log, const partition_config& config) {
  partition_config changed = config;
  changed.durability = log.config().durability;
  log.set_config(changed);
}

store_stats store_core::stats() const {
  store_stats s;
  for (const log_lane& l : lanes_) {
    s.commits += l.writer->commit_us().count();
    s.committed_bytes += l.writer->commit_bytes().sum();
    s.wal_bytes += l.files->allocated_bytes();
  }
  s.appended_batches = appended_batches_;
  s.appended_bytes = appended_bytes_;
  s.relogged_bytes = relogged_bytes_;
  s.spilled_bytes = spiller_.spilled_bytes();
  s.unspilled_bytes = unspilled_bytes_;
  s.cached_bytes = cached_bytes_;
  s.checkpoints = checkpoints_;
  s.retired_segments = retired_segments_;
  s.compactions = compactions_;
  s.compacted_bytes = compacted_bytes_;
  s.scrubbed_bytes = scrubbed_bytes_;
  s.damaged_blocks = damaged_blocks_;
  s.damaged_checksums = damaged_checksums_;
  s.commit_us = at_lane(lane::synced).writer->commit_us();
  s.commit_size_bytes = at_lane(lane::synced).writer->commit_bytes();
  return s;
}

}  // namespace millrace::storage
