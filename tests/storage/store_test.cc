// shard_store on a real directory and on a simulated disk: append, commit, read, spill, restart.
#include <gtest/gtest.h>

#include "runtime/fs.h"
#include "runtime/sim/world.h"
#include "tests/runtime/fixture.h"
#include "tests/storage/fixture.h"

namespace millrace::storage {
namespace {

using runtime::backend_choice;
using runtime::backend_test_name;
using runtime::task;

task<std::unique_ptr<shard_store>> must_open(store_options options, std::vector<partition_spec> specs) {
  auto made = co_await runtime::fs::make_directories(options.data_dir);
  EXPECT_TRUE(made);
  auto store = co_await shard_store::open(std::move(options), std::move(specs));
  EXPECT_TRUE(store) << to_string(store.error());
  if (!store) co_return nullptr;
  co_return std::move(*store);
}

task<void> must_append(shard_store& store, topic_partition_id id, protocol::checked_batch batch) {
  auto admitted = co_await store.admit(batch.size_bytes());
  EXPECT_TRUE(admitted) << to_string(admitted.error());
  auto done = store.append(*store.find(id), batch, append_origin::client);
  EXPECT_TRUE(done) << to_string(done.error());
  if (!done) co_return;
  auto durable = co_await store.wait_durable(done->durable_at);
  EXPECT_TRUE(durable);
}

task<void> append_and_read(std::string dir) {
  auto store = co_await must_open(small_options(dir), {make_spec(1), make_spec(2)});
  std::vector<std::string> expected;
  for (int i = 0; i < 20; ++i) {
    expected.push_back(fmt::format("k{}", i));
    co_await must_append(*store, make_spec(1).id, make_batch(expected.back(), 3));
  }
  EXPECT_EQ(store->find(make_spec(1).id)->high_watermark(), offset(60));
  EXPECT_EQ(co_await read_all(*store, make_spec(1).id), expected);
  auto closed = co_await store->close();
  EXPECT_TRUE(closed) << to_string(closed.error());
}

task<void> survive_restarts(std::string dir, bool clean) {
  std::vector<std::string> expected[3];
  prng random(7);
  for (int run = 0; run < 4; ++run) {
    std::vector<partition_spec> specs;
    for (int t = 0; t < 3; ++t) specs.push_back(make_spec(t, 0, {.segment_bytes = 100'000}));
    auto store = co_await must_open(small_options(dir), specs);
    for (int t = 0; t < 3; ++t) {
      auto found = co_await read_all(*store, specs[t].id);
      EXPECT_EQ(found, expected[t]) << "run " << run << " topic " << t;
    }
    for (int i = 0; i < 300; ++i) {
      const auto t = random.below(3);
      expected[t].push_back(fmt::format("r{}-{}", run, i));
      co_await must_append(*store, specs[t].id, make_batch(expected[t].back(), 1, 200 + random.below(5000)));
    }
    for (int t = 0; t < 3; ++t) {
      auto found = co_await read_all(*store, specs[t].id);
      EXPECT_EQ(found, expected[t]) << "run " << run << " topic " << t;
    }
    EXPECT_GT(store->stats().checkpoints, 0u);
    EXPECT_GT(store->stats().spilled_bytes, 0u);
    (void)clean;
    auto closed = co_await store->close();
    EXPECT_TRUE(closed) << to_string(closed.error());
  }
}

class store_on_each_backend : public runtime::on_each_backend {
 protected:
  temporary_directory directory_;
};

TEST_P(store_on_each_backend, appends_become_readable_when_durable) {
  run(append_and_read(directory_ / "data"));
}
TEST_P(store_on_each_backend, clean_stops_keep_everything) {
  run(survive_restarts(directory_ / "data", true));
}

MILLRACE_ON_EACH_BACKEND(store_on_each_backend);

TEST(store_in_simulator, appends_become_readable_when_durable) {
  runtime::sim_world world(1);
  world.run(append_and_read("/data"));
}

TEST(store_in_simulator, clean_stops_keep_everything) {
  runtime::sim_world world(2);
  world.run(survive_restarts("/data", true));
}

}  // namespace
}  // namespace millrace::storage
