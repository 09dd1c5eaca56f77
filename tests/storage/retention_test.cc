// What goes for its age or because its log is too large: whole segments, the oldest first, by Kafka's rules;
// what a processor still needs stays; consumers read on; the disk's space comes back.
#include "storage/retention.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "runtime/fs.h"
#include "runtime/reactor.h"
#include "runtime/sim/world.h"
#include "storage/log/roll.h"
#include "tests/storage/fixture.h"

namespace millrace::storage {
namespace {

using runtime::sim_disk;
using runtime::sim_world;
using runtime::task;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int64_t day_ms = 24 * 3600 * 1000LL;
constexpr uint64_t segment_bytes = 20'000;
constexpr size_t value_bytes = 2'000;

partition_spec spec_with(partition_config config) {
  config.segment_bytes = segment_bytes;
  return make_spec(1, 0, config);
}

store_options quick_options() {
  store_options o = small_options("/data");
  o.retention_check_interval = seconds(1);
  return o;
}

// One store on a simulated disk, with one partition.
struct subject {
  explicit subject(partition_config config) : spec(spec_with(config)) {}

  task<void> open() {
    auto made = co_await runtime::fs::make_directories("/data");
    EXPECT_TRUE(made);
    std::vector<partition_spec> specs{spec};
    auto opened = co_await shard_store::open(options, std::move(specs));
    EXPECT_TRUE(opened) << to_string(opened.error());
    if (opened) store = *std::move(opened);
  }
  // `count` batches of one record, at the time of each.
  task<void> append(int count, int64_t timestamp_ms) {
    for (int i = 0; i < count; ++i) {
      auto admitted = co_await store->admit(value_bytes);
      EXPECT_TRUE(admitted);
      const auto batch = make_batch(fmt::format("k{}", appended++), 1, value_bytes, timestamp_ms);
      const auto done = store->append(*log(), batch, append_origin::client);
      EXPECT_TRUE(done);
      auto durable = co_await store->wait_durable(done->durable_at);
      EXPECT_TRUE(durable);
    }
  }
  task<void> wait(std::chrono::nanoseconds time) { co_await runtime::reactor::current().sleep(time); }
  // Everything into segments.
  task<void> restart() {
    auto closed = co_await store->close();
    EXPECT_TRUE(closed);
    store.reset();
    co_await open();
  }
  partition_log* log() const { return store->find(spec.id); }
  int64_t log_start() const { return log()->log_start().value(); }
  task<void> check_content() {
    const offset from = log()->log_start();
    const offset end = log()->high_watermark();
    std::vector<std::string> expected;
    for (int64_t n = from.value(); n < end.value(); ++n) expected.push_back(fmt::format("k{}", n));
    auto read = co_await read_all(*store, spec.id, from);
    EXPECT_EQ(read, expected);
  }
  task<void> close() {
    auto closed = co_await store->close();
    EXPECT_TRUE(closed);
  }

  partition_spec spec;
  store_options options = quick_options();
  std::unique_ptr<shard_store> store;
  int appended = 0;
};

int64_t now_ms() {
  return runtime::reactor::current().wall_clock_ms();
}

size_t files_that_end(const sim_disk& disk, std::string_view suffix) {
  return static_cast<size_t>(std::ranges::count_if(disk.files(), [suffix](const std::string& path) {
    return path.starts_with("/data/topic1-0/") && path.ends_with(suffix);
  }));
}

TEST(retention, old_segments_go_and_young_ones_stay) {
  sim_world world(1);
  subject s({.retention_ms = day_ms, .file_delete_delay_ms = 500});
  const auto story = [&]() -> task<void> {
    co_await s.open();
    co_await s.append(30, now_ms() - 2 * day_ms);
    co_await s.append(30, now_ms());
    co_await s.restart();
    const size_t before = s.log()->segments().size();
    EXPECT_GE(before, 6u);
    co_await s.wait(seconds(3));
    // Nine batches fit a segment; the first 27 are old, the next three share a segment with young ones.
    EXPECT_EQ(s.log_start(), 27);
    EXPECT_EQ(s.log()->segments().front().base, offset(27));
    EXPECT_EQ(files_that_end(world.disk(), ".log"), before - 3);
    EXPECT_EQ(files_that_end(world.disk(), ".deleted"), 0u);
    co_await s.check_content();
    EXPECT_EQ(s.store->stats().retired_segments, 3u);
    co_await s.close();
  };
  world.run(story());
}

TEST(retention, what_is_only_in_memory_goes_too_when_it_is_old) {
  sim_world world(2);
  subject s({.retention_ms = day_ms});
  const auto story = [&]() -> task<void> {
    co_await s.open();
    co_await s.append(5, now_ms() - 2 * day_ms);
    co_await s.wait(seconds(2));
    EXPECT_EQ(s.log_start(), 5);
    co_await s.append(1, now_ms());
    co_await s.wait(seconds(2));
    EXPECT_EQ(s.log_start(), 5);
    co_await s.check_content();
    co_await s.restart();
    EXPECT_EQ(s.log_start(), 5);
    co_await s.check_content();
    co_await s.close();
  };
  world.run(story());
}

TEST(retention, an_active_segment_that_is_old_is_ended_and_leaves_the_disk) {
  sim_world world(3);
  subject s({.retention_ms = day_ms, .file_delete_delay_ms = 60'000});
  const auto story = [&]() -> task<void> {
    co_await s.open();
    co_await s.append(20, now_ms() - 2 * day_ms);
    co_await s.restart();
    co_await s.wait(seconds(3));
    EXPECT_EQ(s.log_start(), 20);
    EXPECT_EQ(s.log()->segments().size(), 1u);
    EXPECT_EQ(s.log()->segments().front().size_bytes(), 0u);
    EXPECT_EQ(files_that_end(world.disk(), ".log"), 1u);
    // They wait under another name for file.delete.delay.ms.
    EXPECT_EQ(files_that_end(world.disk(), ".log.deleted"), 3u);
    co_await s.append(20, now_ms());
    co_await s.wait(seconds(61));
    EXPECT_EQ(files_that_end(world.disk(), ".deleted"), 0u);
    co_await s.check_content();
    co_await s.restart();
    EXPECT_EQ(s.log_start(), 20);
    co_await s.check_content();
    co_await s.close();
  };
  world.run(story());
}

TEST(retention, a_log_keeps_about_retention_bytes) {
  sim_world world(4);
  subject s({.retention_ms = -1, .retention_bytes = 50'000});
  const auto story = [&]() -> task<void> {
    co_await s.open();
    co_await s.append(100, now_ms());
    co_await s.wait(seconds(2));
    // Also while part of it is in memory only: never less than asked, never a segment more.
    EXPECT_GE(s.log()->size_bytes(), 50'000u);
    const int64_t kept = s.log()->log_end().value() - s.log_start();
    EXPECT_GE(kept * static_cast<int64_t>(value_bytes + 70), 50'000);
    EXPECT_LE(kept, 36);
    co_await s.check_content();
    co_await s.close();
  };
  world.run(story());
}

TEST(retention, nothing_goes_without_limits_or_when_timestamps_lie_in_the_future) {
  sim_world world(5);
  subject unlimited({.retention_ms = -1});
  const auto story = [&]() -> task<void> {
    co_await unlimited.open();
    co_await unlimited.append(40, 1'000);
    co_await unlimited.wait(seconds(5));
    EXPECT_EQ(unlimited.log_start(), 0);
    // A change of the configuration counts from the next check on.
    partition_config changed = unlimited.log()->config();
    changed.retention_ms = 1'000;
    unlimited.store->reconfigure(*unlimited.log(), changed);
    co_await unlimited.wait(seconds(2));
    EXPECT_EQ(unlimited.log_start(), 40);
    co_await unlimited.append(10, now_ms() + day_ms);
    co_await unlimited.wait(seconds(10));
    EXPECT_EQ(unlimited.log_start(), 40);
    co_await unlimited.close();
  };
  world.run(story());
}

TEST(retention, what_a_processor_has_not_read_stays_up_to_a_limit) {
  sim_world world(6);
  subject s({.retention_ms = day_ms});
  s.options.hold_bytes_max = 60'000;
  offset cursor(13);
  const auto story = [&]() -> task<void> {
    co_await s.open();
    co_await s.append(30, now_ms() - 2 * day_ms);
    s.store->set_retention_hold([&cursor](const partition_log&) { return cursor; });
    co_await s.wait(seconds(2));
    EXPECT_EQ(s.log_start(), 9);  // whole segments below the cursor
    co_await s.append(30, now_ms() - 2 * day_ms);
    co_await s.wait(seconds(2));
    // More than 60,000 bytes wait: the oldest of them go all the same.
    EXPECT_GT(s.log_start(), 13);
    EXPECT_LT(s.log_start(), 60);
    const int64_t before = s.log_start();
    cursor = offset(60);
    co_await s.wait(seconds(2));
    EXPECT_GT(s.log_start(), before);
    co_await s.close();
  };
  world.run(story());
}

TEST(retention, what_a_processor_has_not_read_stays_for_a_limited_time) {
  sim_world world(7);
  subject s({.retention_ms = day_ms});
  s.options.hold_ms_max = day_ms;
  const auto story = [&]() -> task<void> {
    co_await s.open();
    s.store->set_retention_hold([](const partition_log&) { return offset(0); });
    co_await s.append(18, now_ms() - 3 * day_ms);
    co_await s.append(18, now_ms() - day_ms - 1'000);
    co_await s.wait(seconds(2));
    EXPECT_EQ(s.log_start(), 18);
    co_await s.close();
  };
  world.run(story());
}

TEST(retention, a_step_of_the_wall_clock_deletes_nothing) {
  sim_world world(8);
  subject s({.retention_ms = day_ms / 2});
  const auto story = [&]() -> task<void> {
    co_await s.open();
    co_await s.append(20, now_ms());
    co_await s.wait(seconds(2));
    world.step_wall_clock(day_ms);
    co_await s.wait(seconds(20));
    EXPECT_EQ(s.log_start(), 0);
    world.step_wall_clock(-2 * day_ms);
    co_await s.wait(seconds(20));
    EXPECT_EQ(s.log_start(), 0);
    world.step_wall_clock(day_ms);
    co_await s.wait(milliseconds(day_ms));
    EXPECT_EQ(s.log_start(), 20);
    co_await s.close();
  };
  world.run(story());
}

TEST(retention, files_that_a_crash_left_behind_are_removed) {
  sim_world world(9);
  subject s({});
  const auto story = [&]() -> task<void> {
    co_await s.open();
    co_await s.append(20, now_ms());
    co_await s.close();
    for (const char* name : {"00000000000000000000.log.deleted", "00000000000000000003.log",
                             "00000000000000000003.index", "00000000000000000003.timeindex"})
      world.disk().put(fmt::format("/data/topic1-0/{}", name), as_bytes("left over"));
    co_await s.open();
    co_await s.wait(seconds(2));
    EXPECT_EQ(files_that_end(world.disk(), "3.log"), 0u);
    EXPECT_EQ(files_that_end(world.disk(), ".deleted"), 0u);
    co_await s.check_content();
    co_await s.close();
  };
  world.run(story());
}

cached_batch batch_at(int64_t timestamp_ms, size_t bytes = 100) {
  cached_batch b;
  b.max_timestamp_ms = timestamp_ms;
  b.bytes = slice(buffer::allocate(bytes), 0, bytes);
  return b;
}

TEST(roll, by_the_age_of_records_not_by_the_clock) {
  partition_config config{.segment_ms = 1'000};
  segment_shape shape;
  shape.created_ms = 0;
  const topic_partition_id id{topic_id(1), 0};
  EXPECT_FALSE(must_roll(shape, batch_at(5'000), id, config, 1'000'000));
  add_to(shape, batch_at(5'000), 0);
  EXPECT_FALSE(must_roll(shape, batch_at(6'000), id, config, 1'000'000));
  EXPECT_TRUE(must_roll(shape, batch_at(6'001), id, config, 0));
  // Without timestamps the clock decides.
  shape.first_timestamp_ms = -1;
  EXPECT_FALSE(must_roll(shape, batch_at(-1), id, config, 1'000));
  EXPECT_TRUE(must_roll(shape, batch_at(-1), id, config, 1'001));
}

TEST(roll, jitter_makes_segments_of_different_partitions_end_at_different_ages) {
  partition_config config{.segment_ms = 1'000'000, .segment_jitter_ms = 1'000'000};
  segment_shape shape;
  add_to(shape, batch_at(0), 0);
  int rolled = 0;
  for (int32_t p = 0; p < 100; ++p)
    rolled += must_roll(shape, batch_at(500'000), {topic_id(1), p}, config, 0);
  EXPECT_GT(rolled, 25);
  EXPECT_LT(rolled, 75);
}

TEST(roll, by_the_size_of_the_index) {
  sim_world world(10);
  subject s({.index_interval_bytes = 1, .index_bytes_max = 40, .retention_ms = -1});
  const auto story = [&]() -> task<void> {
    co_await s.open();
    co_await s.append(30, now_ms());
    co_await s.restart();
    EXPECT_GE(s.log()->segments().size(), 5u);
    for (const segment& segment : s.log()->segments()) {
      EXPECT_LE(segment.offset_entries_saved, 5u);
      EXPECT_LE(segment.time_entries_saved, 3u);
    }
    co_await s.check_content();
    co_await s.close();
  };
  world.run(story());
}

}  // namespace
}  // namespace millrace::storage
