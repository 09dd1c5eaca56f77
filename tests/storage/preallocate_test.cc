// preallocate: a segment's file has its full length while it is written to and its own when it has ended;
// what lies behind the last batch is never taken for records, wherever the power goes.
#include <gtest/gtest.h>

#include "runtime/fs.h"
#include "runtime/reactor.h"
#include "runtime/sim/world.h"
#include "storage/layout.h"
#include "tests/storage/fixture.h"

namespace millrace::storage {
namespace {

using runtime::sim_disk;
using runtime::sim_world;
using runtime::task;

constexpr uint64_t segment_bytes = 40'000;
constexpr int batches = 400;

partition_spec spec_with(bool preallocates) {
  return make_spec(1, 0, {.segment_bytes = segment_bytes, .preallocates = preallocates});
}

// Null if the disk is dead.
task<std::unique_ptr<shard_store>> open(bool preallocates = true) {
  auto made = co_await runtime::fs::make_directories("/data");
  if (!made) co_return nullptr;
  std::vector<partition_spec> specs{spec_with(preallocates)};
  auto store = co_await shard_store::open(small_options("/data"), std::move(specs));
  if (!store) co_return nullptr;
  co_return *std::move(store);
}

std::string name_of(int64_t n) {
  return fmt::format("k{}", n);
}

// Until something fails.
task<void> append(shard_store& store, int64_t from, int64_t below, int64_t& acknowledged) {
  for (int64_t n = from; n < below; ++n) {
    const auto admitted = co_await store.admit(2000);
    if (!admitted) co_return;
    const auto batch = make_batch(name_of(n), 1, 2000);
    const auto done = store.append(*store.find(spec_with(true).id), batch, append_origin::client);
    if (!done) co_return;
    const auto durable = co_await store.wait_durable(done->durable_at);
    if (!durable) co_return;
    acknowledged = n + 1;
  }
}

// Until what goes on behind the acknowledgements has come to rest.
task<void> settle() {
  co_await runtime::reactor::current().sleep(std::chrono::seconds(5));
}

std::vector<uint64_t> lengths_on(const sim_disk& disk) {
  std::vector<uint64_t> lengths;
  for (const std::string& path : disk.files())
    if (path.starts_with("/data/topic1-0/") && path.ends_with(".log"))
      lengths.push_back(disk.content(path)->size());
  return lengths;
}

TEST(preallocate, a_file_is_long_while_its_segment_is_active_and_ends_with_its_last_batch) {
  sim_world world(1);
  const auto story = [&]() -> task<void> {
    auto store = co_await open();
    int64_t acknowledged = 0;
    co_await append(*store, 0, batches, acknowledged);
    co_await settle();
    std::vector<uint64_t> lengths = lengths_on(world.disk());
    EXPECT_GE(lengths.size(), 3u);
    EXPECT_EQ(lengths.back(), segment_bytes);
    lengths.pop_back();
    for (const uint64_t length : lengths) {
      EXPECT_GT(length, segment_bytes - 2'200);
      EXPECT_LT(length, segment_bytes);
    }
    auto closed = co_await store->close();
    EXPECT_TRUE(closed);
    lengths = lengths_on(world.disk());
    EXPECT_LT(lengths.back(), segment_bytes);
    // Kafka does not lengthen again what there is, and neither do we; the next one is.
    store = co_await open();
    co_await append(*store, batches, 3 * batches, acknowledged);
    co_await settle();
    EXPECT_EQ(acknowledged, 3 * batches);
    EXPECT_EQ(lengths_on(world.disk()).back(), segment_bytes);
    auto keys = co_await read_all(*store, spec_with(true).id);
    EXPECT_EQ(keys.size(), 3u * batches);
    closed = co_await store->close();
    EXPECT_TRUE(closed);
  };
  world.run(story());
}

TEST(preallocate, a_change_counts_from_the_next_segment_on) {
  sim_world world(2);
  const auto story = [&]() -> task<void> {
    auto store = co_await open(false);
    int64_t acknowledged = 0;
    co_await append(*store, 0, batches, acknowledged);
    co_await settle();
    EXPECT_LT(lengths_on(world.disk()).back(), segment_bytes);
    store->reconfigure(*store->find(spec_with(true).id), spec_with(true).config);
    co_await append(*store, batches, 2 * batches, acknowledged);
    co_await settle();
    EXPECT_EQ(lengths_on(world.disk()).back(), segment_bytes);
    store->reconfigure(*store->find(spec_with(true).id), spec_with(false).config);
    co_await append(*store, 2 * batches, 3 * batches, acknowledged);
    co_await settle();
    EXPECT_LT(lengths_on(world.disk()).back(), segment_bytes);
    auto closed = co_await store->close();
    EXPECT_TRUE(closed);
  };
  world.run(story());
}

TEST(preallocate, the_empty_end_is_no_part_of_the_log_after_any_crash) {
  const auto write = [](int64_t& acknowledged) -> task<void> {
    auto store = co_await open();
    if (!store) co_return;
    co_await append(*store, 0, batches, acknowledged);
    auto closed = co_await store->close();
    (void)closed;
  };
  const auto go_on = [](int64_t acknowledged) -> task<void> {
    auto store = co_await open();
    EXPECT_TRUE(store);
    if (!store) co_return;
    const int64_t end = store->find(spec_with(true).id)->log_end().value();
    EXPECT_GE(end, acknowledged);
    int64_t more = 0;
    co_await append(*store, end, end + 40, more);
    EXPECT_EQ(more, end + 40);
    auto keys = co_await read_all(*store, spec_with(true).id);
    EXPECT_EQ(keys.size(), static_cast<size_t>(end + 40));
    for (size_t n = 0; n < keys.size(); ++n) EXPECT_EQ(keys[n], name_of(static_cast<int64_t>(n)));
    EXPECT_EQ(store->stats().damaged_blocks, 0u);
    auto closed = co_await store->close();
    EXPECT_TRUE(closed);
  };
  uint64_t changes = 0;
  {
    sim_world whole(3);
    int64_t acknowledged = 0;
    whole.run(write(acknowledged));
    EXPECT_EQ(acknowledged, batches);
    changes = whole.disk().change_count();
  }
  for (uint64_t at = 1; at <= changes; at += 3) {
    SCOPED_TRACE(fmt::format("crash at change {} of {}", at, changes));
    auto disk = std::make_shared<sim_disk>(at);
    disk->crash_at(at);
    int64_t acknowledged = 0;
    {
      sim_world before(3, {.disk = disk});
      before.run(write(acknowledged));
    }
    sim_world after(at, {.disk = disk->after_power_cut(at)});
    after.run(go_on(acknowledged));
    for (const uint64_t length : lengths_on(after.disk())) EXPECT_LT(length, segment_bytes);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace millrace::storage
