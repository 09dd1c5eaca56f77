// A log start that moves up: nothing below it is served, nothing above it is touched, and the segments that
// lie wholly below it leave the disk, wherever the power goes.
#include <algorithm>
#include <gtest/gtest.h>

#include "runtime/fs.h"
#include "runtime/sim/world.h"
#include "tests/storage/fixture.h"

namespace millrace::storage {
namespace {

using runtime::sim_disk;
using runtime::sim_world;
using runtime::task;

constexpr uint64_t segment_bytes = 40'000;
constexpr int batches = 400;

partition_spec small_segments() {
  return make_spec(1, 0, {.segment_bytes = segment_bytes});
}

task<std::unique_ptr<shard_store>> must_open() {
  auto made = co_await runtime::fs::make_directories("/data");
  EXPECT_TRUE(made);
  auto store = co_await shard_store::open(small_options("/data"), {small_segments()});
  EXPECT_TRUE(store) << to_string(store.error());
  if (!store) co_return nullptr;
  co_return *std::move(store);
}

std::string name_of(int64_t n) {
  return fmt::format("k{}", n);
}

task<bool> append(shard_store& store, int64_t n) {
  const auto admitted = co_await store.admit(2000);
  if (!admitted) co_return false;
  const auto done =
      store.append(*store.find(small_segments().id), make_batch(name_of(n), 1, 2000), append_origin::client);
  if (!done) co_return false;
  const auto durable = co_await store.wait_durable(done->durable_at);
  co_return durable.has_value();
}

size_t segments_on(const sim_disk& disk) {
  return static_cast<size_t>(std::ranges::count_if(disk.files(), [](const std::string& path) {
    return path.starts_with("/data/topic1-0/") && path.ends_with(".log");
  }));
}

struct progress {
  int64_t acknowledged = 0;  // batches
  int64_t log_start = 0;     // acknowledged
};

// Appends batches of one record; the log start follows 50 behind.
task<void> append_and_cut(progress& reached) {
  auto store = co_await must_open();
  if (!store) co_return;
  for (int64_t n = 0; n < batches; ++n) {
    if (!co_await append(*store, n)) break;
    reached.acknowledged = n + 1;
    if (n % 10 != 0 || n < 50) continue;
    const auto moved = co_await store->advance_log_start(small_segments().id, offset(n - 50));
    if (!moved) break;
    reached.log_start = n - 50;
  }
  const auto closed = co_await store->close();
  (void)closed;  // fails where the power went
}

// What is there from the log start on, to be compared by the caller; then once more after a clean stop.
task<void> check(progress reached) {
  auto store = co_await must_open();
  if (!store) co_return;
  partition_log* log = store->find(small_segments().id);
  EXPECT_GE(log->log_start(), offset(reached.log_start));
  EXPECT_GE(log->high_watermark(), offset(reached.acknowledged));
  std::vector<std::string> expected;
  for (int64_t n = log->log_start().value(); n < log->high_watermark().value(); ++n)
    expected.push_back(name_of(n));
  EXPECT_EQ(co_await read_all(*store, small_segments().id, log->log_start()), expected);
  if (log->log_start() > offset(0)) {
    const auto below =
        co_await store->read(*log, {log->log_start().plus(-1), 4096, true, read_bound::high_watermark});
    EXPECT_FALSE(below);
    if (!below) EXPECT_EQ(below.error().code, errc::offset_out_of_range);
  }
  EXPECT_TRUE(co_await store->close());
}

TEST(log_start, segments_below_it_leave_the_disk) {
  sim_world world(1);
  progress reached;
  world.run(append_and_cut(reached));
  EXPECT_EQ(reached.acknowledged, batches);
  sim_world after(2, {.disk = world.disk().after_power_cut(2)});
  after.run(check(reached));
  // 60 batches of 2 KiB are alive, 400 were written.
  EXPECT_GE(segments_on(after.disk()), 2u);
  EXPECT_LE(segments_on(after.disk()), 6u);
}

TEST(log_start, nothing_above_it_is_lost_wherever_the_power_goes) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    sim_world world(seed);
    world.disk().crash_at(20 + seed * 23);
    progress reached;
    world.run(append_and_cut(reached));
    sim_world after(seed, {.disk = world.disk().after_power_cut(seed)});
    after.run(check(reached));
  }
}

}  // namespace
}  // namespace millrace::storage
