#include "storage/adopt.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/log.h"
#include "runtime/fs.h"
#include "storage/checkpoint.h"
#include "storage/import_manifest.h"
#include "storage/layout.h"

namespace millrace::storage {

namespace {

namespace fs = runtime::fs;
using runtime::task;

constexpr uint64_t manifest_bytes_max = uint64_t{4} << 30;

class adoption {
 public:
  adoption(std::string data_dir, uint32_t shards, metadata_log& metadata)
      : data_dir_(std::move(data_dir)), shards_(shards), metadata_(metadata) {}

  task<result<void>> run(const config_filter& keep);

 private:
  task<result<void>> remove_left_overs();
  task<result<void>> check_files();
  task<result<void>> create_topics(const config_filter& keep);
  task<result<void>> move_directories();
  task<result<void>> name_in_checkpoints();
  // Where the partition is now: adopted already, or still waiting.
  task<result<std::string>> directory_of(const checkpoint_partition& p);

  std::string data_dir_;
  uint32_t shards_;
  metadata_log& metadata_;
  import_manifest manifest_;
};

task<result<void>> adoption::run(const config_filter& keep) {
  const std::string path = layout::import_manifest(data_dir_);
  auto file = co_await fs::read_file(path, manifest_bytes_max);
  if (!file && file.error().code == errc::not_found) co_return co_await remove_left_overs();
  if (!file) co_return fail(file.error());
  auto decoded = decode_import_manifest(*file, path);
  if (!decoded) co_return fail(decoded.error());
  manifest_ = std::move(*decoded);

  auto step = co_await check_files();
  if (step) step = co_await create_topics(keep);
  if (step) step = co_await move_directories();
  if (step) step = co_await name_in_checkpoints();
  if (step) step = co_await fs::unlink(path);
  if (step) step = co_await fs::sync_directory(data_dir_);
  if (step) step = co_await remove_left_overs();
  if (!step) co_return fail(step.error().code, "cannot adopt what was imported: {}", step.error().message);
  for (const topic_created& t : manifest_.topics)
    log::info("adopted an imported topic name={} partitions={}", t.name, t.partitions);
  co_return {};
}

task<result<void>> adoption::remove_left_overs() {
  auto entries = co_await fs::list_directory(data_dir_);
  if (!entries) co_return fail(entries.error());
  for (const runtime::directory_entry& entry : *entries) {
    if (!entry.is_directory || !layout::is_import_directory(entry.name)) continue;
    log::info("removing what an unfinished import left name={}", entry.name);
    auto removed = co_await fs::remove_tree(data_dir_ + "/" + entry.name);
    if (!removed) co_return removed;
  }
  co_return {};
}

task<result<std::string>> adoption::directory_of(const checkpoint_partition& p) {
  std::string waiting = layout::import_directory(data_dir_, p.topic_name, p.id.partition);
  auto is_waiting = co_await fs::exists(waiting);
  if (!is_waiting) co_return fail(is_waiting.error());
  if (*is_waiting) co_return waiting;
  co_return layout::partition_directory(data_dir_, p.topic_name, p.id.partition);
}

// Before anything is decided: it is all there, and nothing stands in its way.
task<result<void>> adoption::check_files() {
  const metadata_state& state = metadata_.state();
  for (const topic_created& t : manifest_.topics) {
    const topic_metadata* known = state.find(t.name);
    if (known && known->id != t.id)
      co_return fail(errc::already_exists,
                     "there is a topic {} already; to give the import up, remove {} and start again", t.name,
                     layout::import_manifest(data_dir_));
  }
  for (const checkpoint_partition& p : manifest_.partitions) {
    auto directory = co_await directory_of(p);
    if (!directory) co_return fail(directory.error());
    const std::string final_name = layout::partition_directory(data_dir_, p.topic_name, p.id.partition);
    if (*directory != final_name) {
      auto is_taken = co_await fs::exists(final_name);
      if (!is_taken) co_return fail(is_taken.error());
      if (*is_taken) co_return fail(errc::already_exists, "{} stands in the way", final_name);
    }
    for (const segment& s : p.segments) {
      const std::string path = layout::log_file(*directory, s.base);
      auto size = co_await fs::file_size(path);
      if (!size) co_return fail(size.error());
      // Larger once it was adopted and written to; that is only seen if the manifest could not be removed.
      if (*size < s.written)
        co_return fail(errc::corruption, "{} has {} bytes where {} were imported", path, *size, s.written);
    }
  }
  co_return {};
}

task<result<void>> adoption::create_topics(const config_filter& keep) {
  const metadata_state& state = metadata_.state();
  std::vector<metadata_entry> entries;
  // Partitions go round the shards: each topic begins where the one before it ended.
  uint32_t seed = 0;
  for (const auto& [id, t] : state.topics) seed += static_cast<uint32_t>(t.partitions);
  for (const topic_created& t : manifest_.topics) {
    if (state.topics.contains(t.id)) continue;
    topic_created entry = t;
    entry.placement_seed = seed;
    seed += static_cast<uint32_t>(t.partitions);
    if (keep)
      entry.config = keep({.id = t.id,
                           .name = t.name,
                           .partitions = t.partitions,
                           .placement_seed = entry.placement_seed,
                           .config = t.config});
    entries.emplace_back(std::move(entry));
  }
  // Nobody is given an id that a producer of before had, and what is appended is newer than what is there.
  if (manifest_.next_producer_id > state.next_producer_id)
    entries.emplace_back(producer_ids_allocated{manifest_.next_producer_id});
  if (manifest_.newest_epoch >= state.epoch)
    entries.emplace_back(leader_epoch_bumped{manifest_.newest_epoch + 1});
  if (entries.empty()) co_return {};
  auto appended = metadata_.append(std::move(entries));
  co_return co_await appended;
}

task<result<void>> adoption::move_directories() {
  for (const checkpoint_partition& p : manifest_.partitions) {
    const std::string to = layout::partition_directory(data_dir_, p.topic_name, p.id.partition);
    auto from = co_await directory_of(p);
    if (!from) co_return fail(from.error());
    if (*from == to) continue;
    auto moved = co_await fs::rename(*from, to);
    if (!moved) co_return moved;
  }
  co_return co_await fs::sync_directory(data_dir_);
}

task<result<void>> adoption::name_in_checkpoints() {
  std::map<uint32_t, std::vector<const checkpoint_partition*>> by_shard;
  for (const checkpoint_partition& p : manifest_.partitions) {
    const auto topic = metadata_.state().topics.find(p.id.topic);
    if (topic == metadata_.state().topics.end()) co_return fail(errc::not_found, "{} is gone", p.topic_name);
    by_shard[shard_of(topic->second.placement_seed, p.id.partition, shards_).value()].push_back(&p);
  }
  for (const auto& [shard, partitions] : by_shard) {
    const std::string path = layout::checkpoint_file(data_dir_, shard);
    auto loaded = co_await load_checkpoint(path);
    if (!loaded && loaded.error().code != errc::not_found) co_return fail(loaded.error());
    checkpoint c;
    c.shard = shard;
    if (loaded) c = std::move(*loaded);
    for (const checkpoint_partition* p : partitions) {
      // What a checkpoint knows already may have been written to since.
      const bool is_known = std::ranges::any_of(c.partitions, [p](const auto& q) { return q.id == p->id; });
      if (!is_known) c.partitions.push_back(*p);
    }
    std::ranges::sort(c.partitions, {}, &checkpoint_partition::id);
    const std::vector<std::byte> bytes = encode(c);
    auto written = co_await fs::replace_file(path, bytes);
    if (!written) co_return written;
  }
  co_return {};
}

}  // namespace

task<result<void>> adopt_imported(std::string data_dir, uint32_t shards, metadata_log& metadata,
                                  config_filter keep) {
  adoption work(std::move(data_dir), shards, metadata);
  co_return co_await work.run(keep);
}

}  // namespace millrace::storage
