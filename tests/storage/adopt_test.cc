// Adopting topics that an import laid down: with all their gaps they are served from the first start on, and
// a crash anywhere in between leaves them whole or not there.
#include "storage/adopt.h"

#include <gtest/gtest.h>

#include "runtime/fs.h"
#include "runtime/sim/world.h"
#include "storage/data_dir.h"
#include "storage/import_manifest.h"
#include "storage/layout.h"
#include "tests/storage/fixture.h"

namespace millrace::storage {
namespace {

using runtime::sim_disk;
using runtime::sim_world;
using runtime::task;

namespace fs = runtime::fs;

constexpr int32_t partitions = 5;
constexpr int64_t log_start = 12;
constexpr int64_t log_end = 75;

struct laid_segment {
  int64_t base;
  std::vector<int64_t> batches;  // base offsets; each has one record
};
// Gaps at the beginning, within segments and between them.
const std::vector<laid_segment> laid = {{10, {12, 13, 20}}, {30, {33, 34}}, {50, {51, 60}}, {70, {71, 74}}};

std::string name_of(int32_t partition, int64_t at) {
  return fmt::format("p{}@{}", partition, at);
}

std::vector<std::string> expected_keys(int32_t partition) {
  std::vector<std::string> keys;
  for (const laid_segment& s : laid)
    for (const int64_t at : s.batches) keys.push_back(name_of(partition, at));
  return keys;
}

task<void> write_whole(std::string path, std::vector<std::byte> bytes) {
  const bytes_view view = bytes;
  EXPECT_TRUE(co_await fs::replace_file(path, view));
}

// What the tool does; the last step makes the import count.
task<void> lay_down(bool with_manifest) {
  EXPECT_TRUE(co_await fs::make_directories("/data"));
  import_manifest m;
  m.next_producer_id = 4'001;
  m.newest_epoch = 7;
  m.topics.push_back({.id = topic_id(1), .name = "topic1", .partitions = partitions, .config = {{"a", "b"}}});
  for (int32_t p = 0; p < partitions; ++p) {
    const std::string directory = layout::import_directory("/data", "topic1", p);
    EXPECT_TRUE(co_await fs::make_directory(directory));
    checkpoint_partition described;
    described.id = {topic_id(1), p};
    described.topic_name = "topic1";
    described.log_start = offset(log_start);
    described.spilled_end = described.producers_end = offset(log_end);
    described.epochs = {{leader_epoch(3), offset(10)}, {leader_epoch(7), offset(34)}};
    for (const laid_segment& s : laid) {
      std::vector<std::byte> file;
      segment seg;
      seg.may_have_gaps = true;
      seg.base = offset(s.base);
      for (const int64_t at : s.batches) {
        protocol::batch_builder builder;
        const std::string key = name_of(p, at);
        builder.add(at, as_bytes(key), as_bytes("value"));
        const slice batch = builder.build({.base_offset = at, .leader_epoch = at < 34 ? 3 : 7});
        file.insert(file.end(), batch.view().begin(), batch.view().end());
        seg.end = offset(at + 1);
        seg.max_timestamp_ms = at;
        seg.max_timestamp_offset = offset(at);
      }
      seg.written = file.size();
      described.segments.push_back(seg);
      co_await write_whole(layout::log_file(directory, seg.base), std::move(file));
    }
    m.partitions.push_back(std::move(described));
    const std::string id = layout::format_partition_metadata(topic_id(1));
    const bytes_view id_bytes = as_bytes(id);
    EXPECT_TRUE(co_await fs::replace_file(layout::partition_metadata(directory), id_bytes));
  }
  EXPECT_TRUE(co_await fs::sync_directory("/data"));
  if (with_manifest) co_await write_whole(layout::import_manifest("/data"), encode(m));
}

data_dir_options options_for(uint32_t shards) {
  data_dir_options o{.path = "/data", .shards = shards, .store = small_options("/data"), .config_of = {}};
  o.keep_config = [](const topic_metadata& t) {
    config_map kept = t.config;
    kept["kept"] = "yes";
    return kept;
  };
  return o;
}

struct seen {
  bool opened = false;
  bool has_topic = false;
};

// One life: opens everything, checks all of the topic if it is there, appends one batch, stops cleanly.
task<void> live(uint32_t shards, int appended_before, seen& saw) {
  auto dir = co_await data_dir::open(options_for(shards));
  if (!dir) co_return;
  saw.opened = true;
  const metadata_state& state = (*dir)->metadata().state();
  saw.has_topic = state.find("topic1") != nullptr;
  int32_t found = 0;
  for (uint32_t n = 0; n < shards; ++n) {
    const std::vector<partition_spec> specs = (*dir)->specs_for(shard_id(n));
    auto store = co_await shard_store::open((*dir)->options_for(shard_id(n)), specs);
    if (!store) {
      saw.opened = false;
      continue;
    }
    for (const partition_spec& spec : specs) {
      ++found;
      partition_log* log = (*store)->find(spec.id);
      EXPECT_EQ(log->log_start(), offset(log_start));
      EXPECT_EQ(log->log_end(), offset(log_end + appended_before));
      EXPECT_EQ(log->end_of_epoch(leader_epoch(3)).end, offset(34));
      std::vector<std::string> expected = expected_keys(spec.id.partition);
      for (int i = 0; i < appended_before; ++i) expected.push_back(fmt::format("new{}", i));
      // From every offset on, whether there is a record or not.
      EXPECT_EQ(co_await read_all(**store, spec.id, offset(log_start), 1), expected);
      const read_request in_gap{offset(22), 1, true, read_bound::high_watermark};
      auto got = co_await (*store)->read(*log, in_gap);
      EXPECT_TRUE(got && got->next == offset(34))
          << (got ? fmt::format("{}", got->next) : to_string(got.error()));
      auto by_time = co_await (*store)->find_timestamp(*log, 35, read_bound::high_watermark);
      EXPECT_TRUE(by_time && *by_time && (*by_time)->offset == offset(51));
      auto done = (*store)->append(*log, make_batch(fmt::format("new{}", appended_before), 1, 10, 100),
                                   append_origin::client);
      EXPECT_TRUE(done && done->base_offset == offset(log_end + appended_before));
    }
    EXPECT_TRUE(co_await (*store)->close());
  }
  if (saw.has_topic) {
    EXPECT_EQ(found, partitions);
    const topic_metadata& topic = *state.find("topic1");
    EXPECT_EQ(topic.config.at("kept"), "yes");
    EXPECT_GE(state.next_producer_id, 4'001);
    EXPECT_GT(state.epoch, 7);
    auto still_there = co_await fs::exists(layout::import_manifest("/data"));
    EXPECT_TRUE(still_there && !*still_there);
  }
  const auto closed = co_await (*dir)->close();
  if (!closed) saw.opened = false;
}

TEST(adopt, topics_with_gaps_are_served_and_written_to) {
  sim_world first(1);
  first.run(lay_down(true));
  seen saw;
  // Another number of shards each time: adopted partitions are placed anew as all others.
  auto disk = first.shared_disk();
  for (int life = 0; life < 4; ++life) {
    sim_world world(static_cast<uint64_t>(life) + 2, {.disk = disk});
    saw = {};
    world.run(live(life == 0 ? 2 : life == 1 ? 3 : 1, life, saw));
    EXPECT_TRUE(saw.opened && saw.has_topic);
    disk = world.disk().after_power_cut(9);
  }
}

TEST(adopt, nothing_is_adopted_without_a_manifest_and_nothing_stays_behind) {
  sim_world world(1);
  world.run(lay_down(false));
  seen saw;
  world.run(live(2, 0, saw));
  EXPECT_TRUE(saw.opened);
  EXPECT_FALSE(saw.has_topic);
  for (const std::string& path : world.disk().files())
    EXPECT_EQ(path.find("-import"), std::string::npos) << path;
}

task<void> expect_refused(errc why) {
  auto dir = co_await data_dir::open(options_for(2));
  EXPECT_FALSE(dir);
  if (!dir) EXPECT_EQ(dir.error().code, why) << to_string(dir.error());
}

TEST(adopt, a_topic_of_that_name_is_not_touched) {
  sim_world world(1);
  world.run(lay_down(true));
  seen saw;
  world.run(live(2, 0, saw));
  EXPECT_TRUE(saw.has_topic);
  // The same name again, as another topic.
  const auto lay_again = [](int32_t) -> task<void> {
    import_manifest m;
    m.topics.push_back({.id = topic_id(2), .name = "topic1", .partitions = 1});
    checkpoint_partition p;
    p.id = {topic_id(2), 0};
    p.topic_name = "topic1";
    p.segments.emplace_back();
    m.partitions.push_back(p);
    co_await write_whole(layout::import_manifest("/data"), encode(m));
  };
  world.run(lay_again(0));
  world.run(expect_refused(errc::already_exists));
}

task<void> damage_manifest() {
  auto file = co_await fs::read_file(layout::import_manifest("/data"), 1 << 20);
  EXPECT_TRUE(file);
  std::vector<std::byte> bytes(file->view().begin(), file->view().end());
  bytes[bytes.size() / 2] ^= std::byte{1};
  co_await write_whole(layout::import_manifest("/data"), std::move(bytes));
}

TEST(adopt, a_damaged_manifest_is_refused) {
  sim_world world(1);
  world.run(lay_down(true));
  world.run(damage_manifest());
  world.run(expect_refused(errc::corruption));
}

task<void> only_open(uint32_t shards, bool& opened) {
  auto dir = co_await data_dir::open(options_for(shards));
  opened = dir.has_value();
}

TEST(adopt, a_crash_anywhere_leaves_the_topic_whole_and_there) {
  uint64_t crash_points = 0;
  for (bool finished = false; !finished; ++crash_points) {
    for (uint64_t seed = 0; seed < 6; ++seed) {
      SCOPED_TRACE(fmt::format("crash point {}, seed {}", crash_points, seed));
      sim_world before(seed);
      before.run(lay_down(true));
      sim_world crashing(seed, {.disk = before.shared_disk()->after_power_cut(seed)});
      crashing.disk().crash_at(crash_points + 1);
      bool opened = false;
      crashing.run(only_open(2, opened));
      finished = opened;
      // The next start, with another number of shards every other time, is cut as well.
      sim_world again(seed + 1, {.disk = crashing.disk().after_power_cut(seed)});
      again.disk().crash_at(seed * 5 + 1);
      const uint32_t shards = seed % 2 == 0 ? 2 : 3;
      again.run(only_open(shards, opened));
      sim_world after(seed + 2, {.disk = again.disk().after_power_cut(seed)});
      seen saw;
      after.run(live(shards, 0, saw));
      EXPECT_TRUE(saw.opened && saw.has_topic);
    }
    ASSERT_LT(crash_points, 1000u);
  }
  // Creation, five directories, two checkpoints, the manifest, and the rest of a first start.
  EXPECT_GT(crash_points, 15u);
}

}  // namespace
}  // namespace millrace::storage
