// What keeps topics small for years, interrupted: the power goes, the process dies, the disk is full or
// fails, at every single change that a roll, retention, DeleteRecords, the deletion of a topic or a
// compaction makes to the disk. Whatever was acknowledged is there afterwards, nothing that had gone comes
// back, no files are left over.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <gtest/gtest.h>

#include "runtime/fs.h"
#include "runtime/reactor.h"
#include "runtime/sim/world.h"
#include "tests/storage/compaction_kit.h"

namespace millrace::storage {
namespace {

using runtime::sim_disk;
using runtime::sim_world;
using runtime::task;
using std::chrono::seconds;

constexpr int64_t day_ms = 24 * 3600 * 1000LL;
constexpr int64_t old_batches = 120;
constexpr int64_t all_batches = 180;
constexpr size_t value_bytes = 2'000;
constexpr auto never = std::chrono::hours(1'000'000);

enum class operation { roll, retention, delete_records, deletion, compaction };
enum class interruption { power_cut, kill, full, failure };

// A log of numbered batches, a compacted one, and one of a topic that is deleted.
const topic_partition_id plain{topic_id(1), 0};
const topic_partition_id keyed_log{topic_id(2), 0};
const topic_partition_id doomed{topic_id(3), 0};

struct promise {
  int64_t end = 0;        // of `plain`: acknowledged
  int64_t start_min = 0;  // acknowledged
  int64_t start_max = 0;  // asked for
  contents keys;          // of `keyed_log`
};

store_options options_for(std::chrono::nanoseconds retention, std::chrono::nanoseconds compaction) {
  store_options o = small_options("/data");
  o.retention_check_interval = retention;
  o.compaction_interval = compaction;
  return o;
}

task<std::unique_ptr<shard_store>> open(store_options options, bool has_doomed, bool is_aged = false) {
  auto made = co_await runtime::fs::make_directories("/data");
  if (!made) co_return nullptr;
  partition_config config{.segment_bytes = 40'000, .retention_ms = -1, .file_delete_delay_ms = 0};
  if (is_aged) config.retention_ms = day_ms;
  std::vector<partition_spec> specs{make_spec(1, 0, config)};
  config.retention_ms = -1;
  if (has_doomed) specs.push_back(make_spec(3, 0, config));
  config.is_compacted = true;
  config.segment_bytes = 20'000;
  config.dirty_ratio_min = 0.01;
  specs.push_back(make_spec(2, 0, config));
  auto store = co_await shard_store::open(std::move(options), std::move(specs));
  if (!store) co_return nullptr;
  co_return *std::move(store);
}

int64_t now_ms() {
  return runtime::reactor::current().wall_clock_ms();
}

task<void> wait(std::chrono::nanoseconds time) {
  co_await runtime::reactor::current().sleep(time);
}

// False once the store refuses.
task<bool> append(shard_store& store, topic_partition_id id, const protocol::checked_batch& batch) {
  const auto admitted = co_await store.admit(batch.bytes.size());
  if (!admitted) co_return false;
  const auto done = store.append(*store.find(id), batch, append_origin::client);
  if (!done) co_return false;
  const auto durable = co_await store.wait_durable(done->durable_at);
  co_return durable.has_value();
}

task<void> append_plain(shard_store& store, int64_t below, int64_t timestamp_ms, promise& told) {
  while (told.end < below) {
    const auto batch = make_batch(fmt::format("k{}", told.end), 1, value_bytes, timestamp_ms);
    const bool is_there = co_await append(store, plain, batch);
    if (!is_there) co_return;
    ++told.end;
  }
}

// Everything in segments, and nothing yet of what is to be interrupted.
task<void> prepare(promise& told) {
  auto store = co_await open(options_for(never, never), true);
  co_await append_plain(*store, old_batches, now_ms() - 2 * day_ms, told);
  co_await append_plain(*store, all_batches, now_ms(), told);
  for (int64_t i = 0; i < 150; ++i) {
    keyed record{fmt::format("k{}", i % 20), fmt::format("{}-{}", i, std::string(600, 'x'))};
    if (i % 20 == 7) record.value.reset();
    const std::vector<keyed> records{record};
    const auto batch = make_keyed_batch(records, now_ms());
    const bool is_there = co_await append(*store, keyed_log, batch);
    EXPECT_TRUE(is_there);
    told.keys[i] = std::move(record);
    const auto other = make_batch("doomed", 1, value_bytes);
    const bool is_other_there = co_await append(*store, doomed, other);
    EXPECT_TRUE(is_other_there);
  }
  auto closed = co_await store->close();
  EXPECT_TRUE(closed);
}

task<void> carry_out(shard_store& store, operation what, promise& told) {
  switch (what) {
    case operation::roll:
      co_await append_plain(store, all_batches + 150, now_ms(), told);
      break;
    case operation::delete_records: {
      told.start_max = 100;
      const auto start = co_await store.advance_log_start(plain, offset(100));
      if (start) told.start_min = 100;
      break;
    }
    case operation::deletion: {
      auto removed = co_await store.remove(doomed);
      (void)removed;
      break;
    }
    case operation::retention:
      told.start_max = old_batches;
      break;
    case operation::compaction:
      break;
  }
  co_await wait(seconds(4));
}

task<void> check(shard_store& store, const promise& told) {
  const int64_t start = store.find(plain)->log_start().value();
  const int64_t end = store.find(plain)->high_watermark().value();
  EXPECT_GE(start, told.start_min);
  EXPECT_LE(start, told.start_max);
  EXPECT_GE(end, told.end);
  std::vector<std::string> expected;
  for (int64_t n = start; n < end; ++n) expected.push_back(fmt::format("k{}", n));
  auto names = co_await read_all(store, plain, offset(start));
  EXPECT_EQ(names, expected);

  contents found;
  for (offset from(0); from < store.find(keyed_log)->high_watermark();) {
    const read_request request{from, 4'096, true, read_bound::high_watermark};
    auto got = co_await store.read(*store.find(keyed_log), request);
    EXPECT_TRUE(got) << to_string(got.error());
    if (!got || got->next <= from) co_return;
    add_records(found, got->records);
    from = got->next;
  }
  for (const auto& [at, record] : found) {
    const auto there = told.keys.find(at);
    EXPECT_TRUE(there != told.keys.end() && there->second == record) << at;
  }
  EXPECT_EQ(values_of(found), values_of(told.keys));
}

size_t left_over_on(const sim_disk& disk, bool has_doomed) {
  return static_cast<size_t>(std::ranges::count_if(disk.files(), [has_doomed](const std::string& path) {
    return path.ends_with(".swap") || path.ends_with(".deleted") ||
           (!has_doomed && path.starts_with("/data/topic3-0/"));
  }));
}

store_options options_of(operation what) {
  const bool retires = what == operation::retention || what == operation::delete_records;
  return options_for(retires ? seconds(1) : std::chrono::nanoseconds(never),
                     what == operation::compaction ? seconds(1) : std::chrono::nanoseconds(never));
}

struct span_of_changes {
  uint64_t first = 0;
  uint64_t last = 0;
};

// Its life on a disk: opens, does it, checks unless the disk is dead, closes.
task<void> live(sim_disk& disk, operation what, bool is_full, promise& told, span_of_changes& changes) {
  auto store = co_await open(options_of(what), true, what == operation::retention);
  if (!store) co_return;
  changes.first = disk.change_count() + 1;
  co_await carry_out(*store, what, told);
  changes.last = disk.change_count();
  if (!disk.has_crashed()) co_await check(*store, told);
  // A full disk is no reason to refuse once there is space again, unless the write-ahead log met it, whose
  // space is there beforehand.
  if (is_full && !disk.failed_path().contains("/wal.")) {
    EXPECT_FALSE(store->read_only_reason()) << disk.failed_path();
    co_await append_plain(*store, told.end + 1, now_ms(), told);
    EXPECT_FALSE(store->is_disk_full());
  }
  auto closed = co_await store->close();
  EXPECT_TRUE(closed || disk.has_crashed() || store->read_only_reason());
}

task<void> live_again(const promise& told, bool has_doomed) {
  // All of it is done at last: what was interrupted, and what was left over.
  auto store = co_await open(options_for(seconds(1), seconds(1)), has_doomed);
  EXPECT_TRUE(store);
  if (!store) co_return;
  co_await check(*store, told);
  co_await wait(seconds(4));
  co_await check(*store, told);
  EXPECT_GT(store->find(keyed_log)->cleaned_to().value(), 0);
  EXPECT_EQ(store->stats().damaged_blocks + store->stats().damaged_checksums, 0u);
  auto closed = co_await store->close();
  EXPECT_TRUE(closed);
}

void interrupt_everywhere(operation what) {
  promise prepared;
  std::shared_ptr<sim_disk> begin;
  {
    sim_world world(1);
    world.run(prepare(prepared));
    begin = world.shared_disk();
  }
  const auto one = [&](uint64_t at, interruption how, span_of_changes& changes) {
    promise told = prepared;
    auto disk = begin->after_kill(1);
    const bool is_crash = how == interruption::power_cut || how == interruption::kill;
    if (is_crash) disk->crash_at(at);
    if (!is_crash) disk->fail_at(at, how == interruption::full ? ENOSPC : EIO);
    {
      sim_world world(2, {.disk = disk});
      world.run(live(*disk, what, how == interruption::full, told, changes));
    }
    if (is_crash) disk = how == interruption::kill ? disk->after_kill(at) : disk->after_power_cut(at);
    const bool has_doomed = what != operation::deletion;
    sim_world world(3, {.disk = disk});
    world.run(live_again(told, has_doomed));
    if (has_doomed) EXPECT_EQ(left_over_on(*disk, has_doomed), 0u);
  };
  span_of_changes changes;
  one(UINT64_MAX, interruption::failure, changes);
  ASSERT_GE(changes.last, changes.first + 3) << "it changes nothing";
  const uint64_t stride = 1 + (changes.last - changes.first) / 150;
  for (uint64_t at = changes.first; at <= changes.last; at += stride) {
    for (const interruption how :
         {interruption::power_cut, interruption::kill, interruption::full, interruption::failure}) {
      span_of_changes ignored;
      one(at, how, ignored);
      if (!testing::Test::HasFailure()) continue;
      FAIL() << "at change " << at << " of " << changes.first << " to " << changes.last << ", interruption "
             << static_cast<int>(how);
    }
  }
}

TEST(interruption, of_a_roll) {
  interrupt_everywhere(operation::roll);
}

TEST(interruption, of_retention) {
  interrupt_everywhere(operation::retention);
}

TEST(interruption, of_deleting_records) {
  interrupt_everywhere(operation::delete_records);
}

TEST(interruption, of_the_deletion_of_a_topic) {
  interrupt_everywhere(operation::deletion);
}

TEST(interruption, of_a_compaction) {
  interrupt_everywhere(operation::compaction);
}

}  // namespace
}  // namespace millrace::storage
