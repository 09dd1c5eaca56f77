// What storage does when something is wrong: damage is named and refused, a failing disk makes a shard
// read-only, a full one stops it until there is space.
#include <gtest/gtest.h>

#include "runtime/fs.h"
#include "runtime/sim/world.h"
#include "storage/data_dir.h"
#include "storage/layout.h"
#include "storage/meta_properties.h"
#include "tests/storage/fixture.h"

namespace millrace::storage {
namespace {

using runtime::sim_disk;
using runtime::sim_fault;
using runtime::sim_world;
using runtime::task;

task<result<std::unique_ptr<shard_store>>> open_store() {
  auto made = co_await runtime::fs::make_directories("/data");
  EXPECT_TRUE(made);
  co_return co_await shard_store::open(small_options("/data"), {make_spec(1)});
}

task<result<appended>> append(shard_store& store, std::string name, size_t bytes = 100) {
  auto admitted = co_await store.admit(bytes);
  if (!admitted) co_return fail(admitted.error());
  auto done = store.append(*store.find(make_spec(1).id), make_batch(name, 1, bytes), append_origin::client);
  if (!done) co_return done;
  auto durable = co_await store.wait_durable(done->durable_at);
  if (!durable) co_return fail(durable.error());
  co_return done;
}

// Appends `count` batches, then the power goes.
task<void> append_then_lose_power(sim_disk& disk, int count) {
  auto store = co_await open_store();
  EXPECT_TRUE(store);
  for (int i = 0; i < count; ++i) {
    auto done = co_await append(**store, fmt::format("k{}", i));
    EXPECT_TRUE(done);
  }
  // The seal behind the last commit.
  co_await runtime::reactor::current().sleep(std::chrono::milliseconds(50));
  disk.crash_now();
  auto closed = co_await (*store)->close();
  EXPECT_FALSE(closed);
}

task<result<void>> reopen(size_t expected_batches) {
  auto store = co_await open_store();
  if (!store) co_return fail(store.error());
  auto keys = co_await read_all(**store, make_spec(1).id);
  EXPECT_EQ(keys.size(), expected_batches);
  co_return co_await (*store)->close();
}

TEST(damaged_wal, any_damaged_block_that_was_acknowledged_is_refused_by_name) {
  sim_world world(1);
  world.run(append_then_lose_power(world.disk(), 5));
  const auto after = world.disk().after_power_cut(1);
  const auto content = after->content("/data/wal.0/00.wal");
  ASSERT_TRUE(content);
  // Frames begin at 4096; five of them, each of one block, and a seal.
  for (uint64_t frame = 0; frame < 5; ++frame) {
    const auto damaged = after->after_power_cut(2);
    ASSERT_TRUE(damaged->flip("/data/wal.0/00.wal", 4096 * (1 + frame) + 100, std::byte{1}));
    sim_world second(3, {.disk = damaged});
    const auto opened = second.run(reopen(5));
    ASSERT_FALSE(opened) << "frame " << frame;
    EXPECT_EQ(opened.error().code, errc::corruption);
    EXPECT_NE(opened.error().message.find("/data/wal.0/00.wal"), std::string::npos) << opened.error().message;
    EXPECT_NE(opened.error().message.find(std::to_string(4096 * (1 + frame))), std::string::npos)
        << opened.error().message;
  }
  sim_world undamaged(4, {.disk = after});
  EXPECT_TRUE(undamaged.run(reopen(5)));
}

task<void> fail_a_wal_write(sim_disk& disk) {
  auto store = co_await open_store();
  EXPECT_TRUE(co_await append(**store, "before"));
  disk.inject(sim_fault{runtime::io_kind::write, "wal.0", 5, 0, 1});
  auto refused = co_await append(**store, "lost");
  EXPECT_FALSE(refused);
  EXPECT_TRUE((*store)->read_only_reason().has_value());
  auto later = co_await append(**store, "later");
  EXPECT_FALSE(later);
  if (!later) EXPECT_EQ(kafka_code(later.error().code), kafka_code(errc::kafka_storage_error));
  const auto keys = co_await read_all(**store, make_spec(1).id);
  EXPECT_EQ(keys, std::vector<std::string>{"before"});
  EXPECT_FALSE(co_await (*store)->close());
}

TEST(failing_disk, a_failed_wal_write_makes_the_shard_read_only_and_reads_go_on) {
  sim_world world(5);
  world.run(fail_a_wal_write(world.disk()));
}

task<void> fill_and_free(sim_disk& disk) {
  auto store = co_await open_store();
  EXPECT_TRUE(co_await append(**store, "first"));
  disk.set_capacity(disk.used_bytes());
  std::vector<std::string> expected{"first"};
  bool was_refused = false;
  for (int i = 0; i < 400 && !was_refused; ++i) {
    const std::string name = fmt::format("k{}", i);
    auto admitted = co_await (*store)->admit(4000);
    if (!admitted) {
      was_refused = true;
      EXPECT_EQ(kafka_code(admitted.error().code), kafka_code(errc::kafka_storage_error));
      break;
    }
    auto done =
        (*store)->append(*(*store)->find(make_spec(1).id), make_batch(name, 1, 4000), append_origin::client);
    if (!done) break;
    expected.push_back(name);
    co_await runtime::reactor::current().sleep(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(was_refused);
  EXPECT_TRUE((*store)->is_disk_full());
  disk.set_capacity(uint64_t{1} << 50);
  co_await runtime::reactor::current().sleep(std::chrono::milliseconds(500));
  EXPECT_FALSE((*store)->is_disk_full());
  auto done = co_await append(**store, "after");
  EXPECT_TRUE(done);
  expected.push_back("after");
  EXPECT_EQ(co_await read_all(**store, make_spec(1).id), expected);
  auto closed = co_await (*store)->close();
  EXPECT_TRUE(closed) << to_string(closed.error());
}

TEST(full_disk, producers_are_refused_until_there_is_space_and_nothing_is_lost) {
  sim_world world(6);
  world.run(fill_and_free(world.disk()));
}

task<result<void>> open_and_close_directory() {
  data_dir_options options;
  options.path = "/data";
  auto dir = co_await data_dir::open(std::move(options));
  if (!dir) co_return fail(dir.error());
  auto store = co_await shard_store::open((*dir)->options_for(shard_id(0)), (*dir)->specs_for(shard_id(0)));
  if (!store) co_return fail(store.error());
  auto stopped = co_await (*store)->close();
  EXPECT_TRUE(stopped);
  co_return co_await (*dir)->close();
}

TEST(data_directory, a_newer_format_is_refused_in_one_sentence) {
  sim_world world(7);
  ASSERT_TRUE(world.run(open_and_close_directory()));
  meta_properties newer;
  newer.cluster_id = "x";
  newer.node_id = 1;
  newer.format = format_version + 1;
  newer.shards = 1;
  const std::string text = format_meta_properties(newer);
  world.disk().put("/data/meta.properties", as_bytes(text));
  const auto opened = world.run(open_and_close_directory());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, errc::not_supported);
}

TEST(data_directory, a_directory_of_something_else_is_refused) {
  sim_world world(8);
  world.disk().put("/data/meta.properties", as_bytes("version=1\ncluster.id=abc\nnode.id=1\n"));
  const auto opened = world.run(open_and_close_directory());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, errc::not_supported);
}

}  // namespace
}  // namespace millrace::storage
