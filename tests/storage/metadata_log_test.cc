// The metadata log on a disk that is full, failing or cut off from power: what was acknowledged is there,
// what was refused is not.
#include "storage/metadata_log.h"

#include <gtest/gtest.h>

#include "runtime/fs.h"
#include "runtime/sim/world.h"
#include "tests/storage/fixture.h"

namespace millrace::storage {
namespace {

using runtime::sim_disk;
using runtime::sim_fault;
using runtime::sim_world;
using runtime::task;

constexpr uint64_t plenty_bytes = uint64_t{1} << 50;

std::vector<metadata_entry> creation(uint64_t n) {
  return {topic_created{.id = topic_id(n), .name = fmt::format("topic{}", n), .partitions = 3}};
}

std::vector<std::string> names_of(const metadata_state& state) {
  std::vector<std::string> names;
  for (const auto& [name, id] : state.ids_by_name) names.push_back(name);
  return names;
}

task<std::unique_ptr<metadata_log>> open_log() {
  auto made = co_await runtime::fs::make_directories("/data");
  EXPECT_TRUE(made);
  auto opened = co_await metadata_log::open("/data");
  EXPECT_TRUE(opened) << to_string(opened.error());
  co_return *std::move(opened);
}

task<std::vector<std::string>> names_on_disk() {
  auto log = co_await open_log();
  const std::vector<std::string> names = names_of(log->state());
  EXPECT_TRUE(co_await log->close());
  co_return names;
}

task<void> fill_then_free(sim_disk& disk) {
  auto log = co_await open_log();
  EXPECT_TRUE(co_await log->append(creation(1)));
  disk.set_capacity(disk.used_bytes());
  for (uint64_t n : {2, 3}) {
    const auto refused = co_await log->append(creation(n));
    EXPECT_FALSE(refused);
    if (!refused) EXPECT_EQ(refused.error().code, errc::disk_full) << to_string(refused.error());
  }
  disk.set_capacity(plenty_bytes);
  const auto done = co_await log->append(creation(3));
  EXPECT_TRUE(done) << to_string(done.error());
  EXPECT_EQ(names_of(log->state()), (std::vector<std::string>{"topic1", "topic3"}));
}

TEST(metadata_log, a_full_disk_refuses_changes_until_there_is_space_again) {
  sim_world world(1);
  world.run(fill_then_free(world.disk()));
  for (uint64_t seed = 0; seed < 20; ++seed) {
    sim_world after(seed, {.disk = world.disk().after_power_cut(seed)});
    EXPECT_EQ(after.run(names_on_disk()), (std::vector<std::string>{"topic1", "topic3"})) << "seed " << seed;
  }
}

task<void> refuse_one_and_lose_power(sim_disk& disk) {
  auto log = co_await open_log();
  EXPECT_TRUE(co_await log->append(creation(1)));
  disk.set_capacity(disk.used_bytes());
  EXPECT_FALSE(co_await log->append(creation(2)));
}

TEST(metadata_log, a_refused_change_does_not_come_back_after_a_power_cut) {
  sim_world world(2);
  world.run(refuse_one_and_lose_power(world.disk()));
  for (uint64_t seed = 0; seed < 20; ++seed) {
    sim_world after(seed, {.disk = world.disk().after_power_cut(seed)});
    EXPECT_EQ(after.run(names_on_disk()), std::vector<std::string>{"topic1"}) << "seed " << seed;
  }
}

task<void> fail_a_write(sim_disk& disk) {
  auto log = co_await open_log();
  EXPECT_TRUE(co_await log->append(creation(1)));
  disk.inject(sim_fault{runtime::io_kind::write, "metadata.log", 5, 0, 1});
  EXPECT_FALSE(co_await log->append(creation(2)));
  const auto later = co_await log->append(creation(3));
  EXPECT_FALSE(later);
  if (!later) EXPECT_EQ(later.error().code, errc::read_only);
}

TEST(metadata_log, an_io_error_refuses_everything_until_a_restart) {
  sim_world world(3);
  world.run(fail_a_write(world.disk()));
  sim_world after(4, {.disk = world.disk().after_power_cut(4)});
  EXPECT_EQ(after.run(names_on_disk()), std::vector<std::string>{"topic1"});
}

}  // namespace
}  // namespace millrace::storage
