#include "storage/data_dir.h"

#include <fmt/format.h>
#include <utility>

#include "base/log.h"
#include "runtime/fs.h"
#include "runtime/reactor.h"
#include "storage/checkpoint.h"
#include "storage/layout.h"
#include "storage/meta_properties.h"
#include "storage/replace_shards.h"

namespace millrace::storage {

namespace {

namespace fs = runtime::fs;

constexpr uint64_t small_file_bytes_max = 64 * limits::KiB;

class opened_data_dir final : public data_dir {
 public:
  explicit opened_data_dir(data_dir_options options) : options_(std::move(options)) {}

  task<result<void>> open();

  metadata_log& metadata() override { return *metadata_; }
  const std::string& cluster_id() const override { return meta_.cluster_id; }
  leader_epoch epoch() const override { return leader_epoch(metadata_->state().epoch); }
  bool was_clean() const override { return was_clean_; }
  store_options options_for(shard_id shard) const override {
    return options_of(shard.value(), options_.shards);
  }
  std::vector<partition_spec> specs_for(shard_id shard) const override {
    return specs_of(shard.value(), options_.shards);
  }
  task<result<void>> close() override;

 private:
  task<result<void>> load_meta();
  task<result<void>> store_meta();
  task<result<void>> remove_orphans();
  task<result<void>> adopt();
  store_options options_of(uint32_t shard, uint32_t shards) const;
  std::vector<partition_spec> specs_of(uint32_t shard, uint32_t shards) const;

  data_dir_options options_;
  std::unique_ptr<metadata_log> metadata_;
  meta_properties meta_;
  bool is_new_ = false;
  bool was_clean_ = true;
};

store_options opened_data_dir::options_of(uint32_t shard, uint32_t shards) const {
  store_options o = options_.store;
  o.data_dir = options_.path;
  o.shard = shard_id(shard);
  o.shards = shards;
  o.epoch = epoch();
  o.follows_clean_stop = was_clean_;
  return o;
}

std::vector<partition_spec> opened_data_dir::specs_of(uint32_t shard, uint32_t shards) const {
  std::vector<partition_spec> specs;
  for (const auto& [id, topic] : metadata_->state().topics) {
    const partition_config config = options_.config_of ? options_.config_of(topic) : partition_config{};
    for (int32_t p = 0; p < topic.partitions; ++p) {
      if (shard_of(topic.placement_seed, p, shards).value() != shard) continue;
      specs.push_back({{id, p}, topic.name, topic.placement_seed, config});
    }
  }
  return specs;
}

task<result<void>> opened_data_dir::open() {
  auto made = co_await fs::make_directories(options_.path);
  if (!made) co_return made;
  // Their names must be as durable as what is put into them; an earlier run may not have come so far.
  for (std::string path = options_.path; path != "/" && path != ".";) {
    path = fs::directory_of(path);
    auto synced = co_await fs::sync_directory(path);
    if (!synced) break;  // somebody else's directory, which was there before us
  }
  // The metadata log is locked first: nothing else is touched while another broker runs here.
  auto metadata = co_await metadata_log::open(options_.path);
  if (!metadata) co_return fail(metadata.error());
  metadata_ = std::move(*metadata);
  auto loaded = co_await load_meta();
  if (!loaded) co_return loaded;
  if (is_new_) {
    auto stored = co_await store_meta();
    if (!stored) co_return stored;
    co_return co_await adopt();
  }
  // A replacement that a crash cut short after it was decided comes first.
  auto finished = co_await finish_replacement(options_.path, meta_.shards);
  if (!finished) co_return finished;
  was_clean_ = meta_.stopped_cleanly;
  if (!was_clean_) {
    // What was not acknowledged may be gone: a client that saw it must be able to tell.
    std::vector<metadata_entry> entries;
    entries.push_back(leader_epoch_bumped{metadata_->state().epoch + 1});
    auto bumped = co_await metadata_->append(std::move(entries));
    if (!bumped) co_return bumped;
  }
  auto removed = co_await remove_orphans();
  if (!removed) co_return removed;
  auto adopted = co_await adopt();
  if (!adopted) co_return adopted;
  if (meta_.shards != options_.shards) {
    log::info("placing partitions anew from={} to={} shards", meta_.shards, options_.shards);
    replacement plan;
    plan.data_dir = options_.path;
    plan.shards_before = meta_.shards;
    plan.shards_after = options_.shards;
    for (uint32_t shard = 0; shard < meta_.shards; ++shard) {
      plan.options_before.push_back(options_of(shard, meta_.shards));
      plan.specs_before.push_back(specs_of(shard, meta_.shards));
    }
    for (uint32_t shard = 0; shard < options_.shards; ++shard)
      plan.specs_after.push_back(specs_of(shard, options_.shards));
    auto written = co_await write_replaced_checkpoints(plan);
    if (!written) co_return written;
  }
  meta_.shards = options_.shards;
  meta_.stopped_cleanly = false;
  auto stored = co_await store_meta();
  if (!stored) co_return stored;
  co_return co_await finish_replacement(options_.path, options_.shards);
}

task<result<void>> opened_data_dir::adopt() {
  auto adopted = adopt_imported(options_.path, meta_.shards, *metadata_, options_.keep_config);
  co_return co_await adopted;
}

task<result<void>> opened_data_dir::close() {
  auto clean = co_await checkpoints_are_clean(options_.path, options_.shards);
  if (clean && *clean) {
    meta_.stopped_cleanly = true;
    auto stored = co_await store_meta();
    if (!stored) co_return stored;
  }
  co_return co_await metadata_->close();
}

task<result<void>> opened_data_dir::load_meta() {
  const std::string path = layout::meta_properties(options_.path);
  auto text = co_await fs::read_file(path, small_file_bytes_max);
  if (!text && text.error().code == errc::not_found) {
    is_new_ = true;
    if (!metadata_->state().topics.empty())
      co_return fail(errc::corruption, "{} is missing, but there are topics", path);
    runtime::reactor& reactor = runtime::reactor::current();
    const std::function<uint64_t()> random = [&reactor] { return reactor.random().next(); };
    meta_.cluster_id = uuid::make(random).to_string();
    meta_.node_id = options_.node_id;
    meta_.shards = options_.shards;
    co_return {};
  }
  if (!text) co_return fail(text.error());
  auto parsed = parse_meta_properties(as_text(*text), path);
  if (!parsed) co_return fail(parsed.error());
  if (parsed->node_id != options_.node_id)
    co_return fail(errc::invalid_argument, "{} belongs to node {}, but node.id is {}", path, parsed->node_id,
                   options_.node_id);
  meta_ = std::move(*parsed);
  co_return {};
}

task<result<void>> opened_data_dir::store_meta() {
  meta_.format = format_version;  // whatever it was: from now on ours
  const std::string text = format_meta_properties(meta_);
  const bytes_view bytes = as_bytes(text);
  co_return co_await fs::replace_file(layout::meta_properties(options_.path), bytes);
}

// Directories of topics that no longer exist: their deletion was durable, their removal cut short.
task<result<void>> opened_data_dir::remove_orphans() {
  auto entries = co_await fs::list_directory(options_.path);
  if (!entries) co_return fail(entries.error());
  for (const runtime::directory_entry& entry : *entries) {
    if (!entry.is_directory) continue;
    bool is_orphan = entry.name.ends_with("-delete");
    if (!is_orphan) {
      const auto named = layout::parse_partition_directory(entry.name);
      if (!named) continue;
      const topic_metadata* topic = metadata_->state().find(named->topic);
      is_orphan = !topic || named->partition >= topic->partitions;
      // A name that Kafka could not have given is somebody else's business.
      const std::string marker = layout::partition_metadata(options_.path + "/" + entry.name);
      if (is_orphan) {
        auto is_ours = co_await fs::exists(marker);
        if (!is_ours) co_return fail(is_ours.error());
        is_orphan = *is_ours;
      }
    }
    if (!is_orphan) continue;
    log::info("removing the directory of a deleted topic name={}", entry.name);
    auto removed = co_await fs::remove_tree(options_.path + "/" + entry.name);
    if (!removed) co_return removed;
  }
  co_return {};
}

}  // namespace

task<result<std::unique_ptr<data_dir>>> data_dir::open(data_dir_options options) {
  auto dir = std::make_unique<opened_data_dir>(std::move(options));
  auto opened = co_await dir->open();
  if (!opened) co_return fail(opened.error());
  co_return std::unique_ptr<data_dir>(std::move(dir));
}

}  // namespace millrace::storage
