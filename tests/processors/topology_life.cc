#include "tests/processors/topology_life.h"

#include <algorithm>
#include <span>

namespace millrace::processors::kit {

using runtime::call_on;

namespace {

// Well below what the store's log may take, as it is in a broker: a frame that fills it would never leave it.
constexpr uint64_t frame_bytes_max = 2 * 1024 * 1024;

}  // namespace

task<bool> life::open() {
  storage::data_dir_options options;
  options.path = "/data";
  options.shards = shards_;
  options.store = small_store();
  options.store.frame_bytes_max = frame_bytes_max;
  options.config_of = [](const storage::topic_metadata&) {
    storage::partition_config config;
    config.segment_bytes = 512 * 1024;
    config.retention_ms = -1;  // its records are of long ago
    return config;
  };
  auto dir = co_await storage::data_dir::open(std::move(options));
  if (!dir) {
    fail_with("data_dir: " + to_string(dir.error()));
    co_return false;
  }
  dir_ = std::move(*dir);
  if (dir_->metadata().state().topics.empty()) {
    std::vector<storage::metadata_entry> entries;
    for (const std::string& topic : outside_.what.topics())
      entries.push_back(storage::topic_created{
          id_of(topic, 0).topic, topic, outside_.what.partitions.at(topic), placement_of(topic), {}});
    const auto made = co_await dir_->metadata().append(std::move(entries));
    if (!made || disk_.has_crashed()) co_return false;
  }
  for (uint32_t shard = 0; shard < shards_; ++shard) {
    auto opened = call_on(shard_id(shard), [this, shard] { return open_shard(shard); });
    co_await opened;
  }
  for (const auto& store : stores_)
    if (!store) co_return false;
  co_return true;
}

task<void> life::open_shard(uint32_t shard) {
  auto store = co_await storage::shard_store::open(dir_->options_for(shard_id(shard)),
                                                   dir_->specs_for(shard_id(shard)));
  if (!store) {
    fail_with(fmt::format("shard {}: {}", shard, to_string(store.error())));
    co_return;
  }
  stores_[shard] = std::move(*store);
  host_options options;
  options.state_directory = "/data/state";
  options.snapshot_after_bytes = 3000;
  options.others = this;
  options.outbox_trim_after_bytes = 2000;
  options.repartition_trim_after_bytes = UINT64_MAX;  // check() reads it all
  options.frame_bytes_max = frame_bytes_max;
  hosts_[shard] = std::make_unique<shard_host>(deployed_, *stores_[shard], options);
  hosts_[shard]->start();
}

// Whether there is a version that takes its state over; not for one with a shadow, which would have to
// follow.
bool life::may_migrate(const deployed_processor& p) const {
  return p.code->name() == "tally" && p.code->version() == "1" && p.spec.stands_for.empty() &&
         !deployed_.find(p.spec.name + ".shadow");
}

// In that version; that is written down before anybody hears of it.
deployed_processor life::migrated(const deployed_processor& p) {
  std::shared_ptr<const plugin> code = code_of<next_tally_traits>();
  if (p.spec.isolated == isolation::process) code = elsewhere(code);
  deployed_processor changed = deployment::prepare(p.spec, code).value();
  const deployment before = *outside_.what.deployed;
  outside_.what.deployed = std::make_shared<const deployment>(before.with(changed).value());
  ++outside_.sum.migrations;
  return changed;
}

task<void> life::migrate_one() {
  for (const deployed_ptr& p : deployment(deployed_).processors()) {
    if (!may_migrate(*p)) continue;
    deployed_ = deployed_.with(migrated(*p)).value();
    co_await adopt_everywhere();
    co_return;
  }
}

// A processor is replaced by another object of itself, held, or let go, wherever it stands.
task<void> life::change_something() {
  const auto& all = deployed_.processors();
  deployed_processor changed = *all[static_cast<size_t>(random_.below(all.size()))];
  if (may_migrate(changed) && random_.below(3) == 0) changed = migrated(changed);
  const bool is_held = random_.below(3) == 0;
  const std::string whole = whole_name(changed.spec);
  if (deployed_.stages_of(whole).size() == 1) deployed_ = deployed_.with(std::move(changed)).value();
  deployed_ = deployed_.changed(whole, [is_held](deployed_processor& stage) { stage.is_held = is_held; });
  ++outside_.sum.changes;
  co_await adopt_everywhere();
}

// What a source, or what follows from it, holds so far is processed once more from some offset on, in topics
// of its own.
task<void> life::begin_replay() {
  deployed_processor replay = *outside_.what.replay;
  const std::string& input = replay.spec.input;
  replay.spec.start = {start_position::kind::offset, static_cast<int64_t>(random_.below(30))};
  replay.spec.until.emplace();
  for (int32_t p = 0; p < outside_.what.partitions.at(input); ++p) {
    const shard_id owner = owner_of(input, p);
    const auto look = [this, owner, input, p] {
      return stores_[owner.value()]->find(id_of(input, p))->high_watermark().value();
    };
    const int64_t end = co_await call_on(owner, look);
    replay.spec.until->push_back(end);
  }
  if (is_over()) co_return;
  const deployment before = *outside_.what.deployed;
  outside_.what.deployed = std::make_shared<const deployment>(before.with(replay).value());
  outside_.what.replay.reset();
  deployed_ = deployed_.with(std::move(replay)).value();
  ++outside_.sum.replays;
  co_await adopt_everywhere();
}

// A shadow begins beside its processor, or ends.
task<void> life::turn_shadow() {
  const deployment before = *outside_.what.deployed;
  if (outside_.what.shadow) {
    const processor_spec spec = outside_.what.shadow->spec;
    deployed_processor shadow = deployment::prepare(spec, before.find(spec.stands_for)->code).value();
    outside_.what.shadow.reset();
    outside_.what.deployed = std::make_shared<const deployment>(before.with(shadow).value());
    deployed_ = deployed_.with(std::move(shadow)).value();
    ++outside_.sum.shadows;
  } else {
    std::string name;
    for (const deployed_ptr& p : before.processors())
      if (p->spec.is_shadow) name = p->spec.name;
    outside_.what.deployed = std::make_shared<const deployment>(before.without(name));
    deployed_ = deployed_.without(name);
  }
  co_await adopt_everywhere();
}

task<void> life::adopt_everywhere() {
  for (uint32_t shard = 0; shard < shards_ && !disk_.has_crashed(); ++shard) {
    auto done = call_on(shard_id(shard), [this, shard] { return hosts_[shard]->adopt(deployed_); });
    co_await done;
  }
}

// Whether nothing is on its way any more. What one shard has sent, another one may still have to process.
task<bool> life::is_settled() {
  std::vector<int64_t> ends[2];
  for (std::vector<int64_t>& round : ends)
    for (uint32_t shard = 0; shard < shards_; ++shard) {
      const auto look = [this, shard, &round] {
        stores_[shard]->for_each(
            [&](storage::partition_log& log) { round.push_back(log.log_end().value()); });
        return settled(*hosts_[shard], *stores_[shard], [this] { return disk_.has_crashed(); });
      };
      auto done = call_on(shard_id(shard), look);
      co_await done;
    }
  co_return ends[0] == ends[1];
}

task<void> life::wait_until_quiet() {
  for (;;) {
    const bool is_quiet = co_await is_settled();
    if (is_quiet || is_over()) break;
  }
}

void life::fail_for_paused() {
  for (uint32_t shard = 0; shard < shards_; ++shard)
    for (const flow_status& s : hosts_[shard]->status())
      if (s.state == flow_state::paused && !stores_[shard]->read_only_reason())
        fail_with(fmt::format("{} on partition {} has paused: {}", s.processor, s.partition, s.why_paused));
}

// Lets all go that are held.
task<void> life::settle_all() {
  for (const deployed_ptr& p : deployment(deployed_).processors())
    if (p->is_held)
      deployed_ =
          deployed_.changed(whole_name(p->spec), [](deployed_processor& stage) { stage.is_held = false; });
  co_await adopt_everywhere();
  co_await wait_until_quiet();
  fail_for_paused();
}

task<void> life::produce(int batches) {
  if (outside_.lives >= 3) co_await migrate_one();
  for (int i = 0; i < batches && !is_over(); ++i) {
    if (random_.below(6) == 0) co_await change_something();
    if (random_.below(outside_.what.shadow ? 20 : 100) == 0) co_await turn_shadow();
    if (outside_.what.replay && random_.below(20) == 0) co_await begin_replay();
    const auto& sources = outside_.what.sources;
    const std::string source = sources[static_cast<size_t>(random_.below(sources.size()))];
    const auto partition = static_cast<int32_t>(random_.below(4));
    const shard_id owner = owner_of(source, partition);
    const uint64_t seed = random_.next();
    auto done = call_on(
        owner, [this, owner, source, partition, seed] { return produce_on(owner, source, partition, seed); });
    co_await done;
  }
}

std::vector<seen_record> next_records(prng& random, int64_t& next_number, uint64_t count) {
  std::vector<seen_record> all;
  for (uint64_t k = 0; k < count; ++k) {
    const std::string value = std::to_string(next_number++);
    const int64_t at = next_number * 3 + static_cast<int64_t>(random.below(250));
    all.push_back({"k" + std::to_string(random.below(5)), value, at, {}});
  }
  return all;
}

protocol::checked_batch sent_batch(std::span<const seen_record> records, prng& random) {
  protocol::batch_builder builder;
  for (const seen_record& r : records) builder.add(r.timestamp_ms, as_bytes(r.key), as_bytes(r.value));
  protocol::batch_options options;
  options.compression = static_cast<protocol::codec>(random.below(protocol::codec_count));
  return protocol::check_produced_batch(builder.build(options), {.now_ms = 1}).value();
}

task<void> life::produce_on(shard_id shard, std::string topic, int32_t partition, uint64_t seed) {
  prng random(seed);
  storage::shard_store& store = *stores_[shard.value()];
  const auto admitted = co_await store.admit(1000);
  if (!admitted) co_return;
  const uint64_t count = 1 + random.below(random.below(15) == 0 ? 6000 : 40);
  const std::vector<seen_record> sent = next_records(random, outside_.next_number, count);
  const protocol::checked_batch batch = sent_batch(sent, random);
  const auto done = store.append(*store.find(id_of(topic, partition)), batch, storage::append_origin::client);
  if (!done || random.below(3) == 0) co_return;
  const auto durable = co_await store.wait_durable(done->durable_at);
  if (!durable || disk_.has_crashed()) co_return;
  auto& acked = outside_.acked[{topic, partition}];
  for (size_t k = 0; k < sent.size(); ++k)
    acked[done->base_offset.value() + static_cast<int64_t>(k)] = sent[k].value;
}

task<void> life::close_shard(uint32_t shard) {
  if (hosts_[shard]) co_await hosts_[shard]->close();
  hosts_[shard].reset();
  if (!stores_[shard]) co_return;
  const auto closed = co_await stores_[shard]->close();
  if (!closed) fail_with("close: " + to_string(closed.error()));
  stores_[shard].reset();
}

task<void> life::close() {
  for (uint32_t shard = 0; shard < shards_; ++shard) {
    auto done = call_on(shard_id(shard), [this, shard] { return close_shard(shard); });
    co_await done;
  }
  if (!dir_) co_return;
  const auto closed = co_await dir_->close();
  if (!closed) fail_with("close: " + to_string(closed.error()));
  dir_.reset();
}

task<std::string> life::run(int batches) {
  ++outside_.lives;
  const bool is_open = co_await open();
  if (is_open) {
    co_await settle_all();
    if (!is_over()) co_await check();
    if (!is_over()) co_await produce(batches);
    if (!is_over()) co_await settle_all();
    if (!is_over()) co_await check();
  }
  co_await close();
  co_return disk_.has_crashed() ? std::string() : problem_;
}

}  // namespace millrace::processors::kit
