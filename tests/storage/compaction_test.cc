// Compacted logs: each key keeps its newest value wherever a restart, a reader, a processor or a deletion
// falls.
#include "storage/compaction.h"

#include <algorithm>
#include <cerrno>
#include <gtest/gtest.h>

#include "tests/storage/compaction_kit.h"

namespace millrace::storage {
namespace {

using runtime::sim_world;
using runtime::task;
using std::chrono::seconds;

constexpr uint64_t segment_bytes = 20'000;

partition_config small_segments() {
  return {.segment_bytes = segment_bytes, .dirty_ratio_min = 0.01};
}

size_t files_that_end(const runtime::sim_disk& disk, std::string_view suffix) {
  return static_cast<size_t>(std::ranges::count_if(
      disk.files(), [suffix](const std::string& path) { return path.ends_with(suffix); }));
}

TEST(compaction, each_key_keeps_its_newest_value) {
  sim_world world(1);
  compacted_subject s(small_segments());
  const auto story = [&]() -> task<void> {
    co_await s.open();
    for (int i = 0; i < 400; ++i) {
      std::vector<keyed> records{{fmt::format("k{}", i % 7), fmt::format("v{}-{}", i, std::string(300, 'x'))},
                                 {fmt::format("once{}", i), "kept"}};
      co_await s.append(std::move(records));
    }
    co_await s.wait(seconds(5));
    const contents found = co_await s.check();
    EXPECT_GE(s.store->stats().compactions, 1u);
    // All but the active segment.
    EXPECT_LT(found.size(), 400u + 7u + 80u);
    EXPECT_GE(found.size(), 400u + 7u);
    EXPECT_GT(s.log()->cleaned_to().value(), 600);
    EXPECT_LT(s.log()->size_bytes(), 3 * segment_bytes);
    EXPECT_EQ(files_that_end(world.disk(), ".swap"), 0u);
    for (int64_t from = 0; from < 800; from += 37) {
      const contents behind = co_await s.read(offset(from));
      const auto expected = found.lower_bound(from);
      EXPECT_EQ(std::distance(behind.lower_bound(from), behind.end()), std::distance(expected, found.end()));
    }
    co_await s.restart();
    const contents after = co_await s.check();
    EXPECT_EQ(after, found);
    const store_stats stats = s.store->stats();
    EXPECT_EQ(stats.damaged_blocks + stats.damaged_checksums, 0u);
    co_await s.close();
  };
  world.run(story());
}

TEST(compaction, tombstones_stay_for_their_time) {
  sim_world world(2);
  partition_config config = small_segments();
  config.delete_retention_ms = 3'600'000;
  compacted_subject s(config);
  const auto is_there = [](const contents& found, const std::string& key) {
    return std::ranges::any_of(found, [&key](const auto& item) { return item.second.key == key; });
  };
  const auto story = [&]() -> task<void> {
    co_await s.open();
    std::vector<keyed> first{{"a", "1"}, {"b", "1"}};
    co_await s.append(std::move(first));
    std::vector<keyed> second{{"a", std::nullopt}};
    co_await s.append(std::move(second));
    co_await s.fill(2 * segment_bytes);
    co_await s.wait(seconds(3));
    contents found = co_await s.check();
    EXPECT_TRUE(is_there(found, "a"));
    EXPECT_FALSE(found.contains(0));
    co_await s.restart();
    // Not gone before its time, though it is compacted again.
    co_await s.fill(2 * segment_bytes);
    co_await s.wait(seconds(3));
    found = co_await s.check();
    EXPECT_TRUE(is_there(found, "a"));
    co_await s.wait(std::chrono::hours(2));
    co_await s.fill(2 * segment_bytes);
    co_await s.wait(seconds(3));
    found = co_await s.check();
    EXPECT_FALSE(is_there(found, "a"));
    EXPECT_TRUE(is_there(found, "b"));
    co_await s.close();
  };
  world.run(story());
}

TEST(compaction, a_set_clock_does_not_take_tombstones_early) {
  sim_world world(3);
  partition_config config = small_segments();
  config.delete_retention_ms = 3'600'000;
  compacted_subject s(config);
  const auto story = [&]() -> task<void> {
    co_await s.open();
    std::vector<keyed> first{{"a", std::nullopt}};
    co_await s.append(std::move(first));
    for (int i = 0; i < 3; ++i) {
      co_await s.fill(2 * segment_bytes);
      co_await s.wait(seconds(3));
      world.step_wall_clock(24 * 3600 * 1000);
    }
    const contents found = co_await s.check();
    EXPECT_TRUE(found.contains(0));
    co_await s.close();
  };
  world.run(story());
}

// Five segments of one key: left alone for ten seconds and compacted after two minutes; what is left.
uint64_t bytes_left_after_a_lag(uint64_t seed, partition_config config) {
  sim_world world(seed);
  compacted_subject s(config);
  uint64_t left = 0;
  const auto story = [&]() -> task<void> {
    co_await s.open();
    co_await s.fill(5 * segment_bytes);
    co_await s.wait(seconds(10));
    EXPECT_EQ(s.store->stats().compactions, 0u);
    co_await s.wait(seconds(120));
    EXPECT_EQ(s.store->stats().compactions, 1u);
    left = s.log()->size_bytes();
    co_await s.check();
    co_await s.close();
  };
  world.run(story());
  return left;
}

TEST(compaction, waits_for_its_ratio_and_lags) {
  partition_config config = small_segments();
  config.dirty_ratio_min = 0.5;
  config.compaction_lag_min_ms = 60'000;
  EXPECT_LT(bytes_left_after_a_lag(4, config), 3 * segment_bytes);
}

TEST(compaction, is_due_when_a_record_is_too_old_whatever_the_ratio) {
  partition_config config = small_segments();
  config.dirty_ratio_min = 1;
  config.compaction_lag_max_ms = 60'000;
  EXPECT_LT(bytes_left_after_a_lag(5, config), 3 * segment_bytes);
}

TEST(compaction, does_not_pass_a_processor_within_its_limits) {
  sim_world world(6);
  compacted_subject s(small_segments());
  s.options.hold_bytes_max = 1'000'000;
  offset cursor(0);
  const auto story = [&]() -> task<void> {
    co_await s.open();
    s.store->set_retention_hold([&cursor](const partition_log&) { return cursor; });
    co_await s.fill(10 * segment_bytes);
    co_await s.wait(seconds(5));
    contents found = co_await s.check();
    EXPECT_EQ(found.size(), s.appended.size());
    cursor = offset(100);
    co_await s.wait(seconds(5));
    found = co_await s.check();
    EXPECT_LT(found.size(), s.appended.size());
    EXPECT_EQ(std::distance(found.lower_bound(100), found.end()),
              std::distance(s.appended.lower_bound(100), s.appended.end()));
    // Beyond what may be held for it, it goes on.
    co_await s.fill(60 * segment_bytes);
    co_await s.wait(seconds(5));
    found = co_await s.check();
    EXPECT_LT(std::distance(found.lower_bound(100), found.end()),
              std::distance(s.appended.lower_bound(100), s.appended.end()));
    co_await s.close();
  };
  world.run(story());
}

TEST(compaction, goes_on_in_parts_when_keys_do_not_fit_memory) {
  sim_world world(7);
  compacted_subject s(small_segments());
  s.options.compaction_map_bytes = 100 * 24;
  const auto story = [&]() -> task<void> {
    co_await s.open();
    for (int round = 0; round < 3; ++round)
      for (int i = 0; i < 500; ++i) {
        std::vector<keyed> records{
            {fmt::format("k{}", i), fmt::format("{}-{}", round, std::string(100, 'x'))}};
        co_await s.append(std::move(records));
      }
    co_await s.wait(seconds(60));
    const contents found = co_await s.check();
    EXPECT_LT(found.size(), 700u);
    EXPECT_GE(s.store->stats().compactions, 10u);
    co_await s.close();
  };
  world.run(story());
}

TEST(compaction, lists_offsets_of_what_is_left) {
  sim_world world(8);
  compacted_subject s(small_segments());
  const auto story = [&]() -> task<void> {
    co_await s.open();
    std::vector<std::pair<int64_t, int64_t>> sent;  // time, offset
    for (int i = 0; i < 300; ++i) {
      const int64_t at_ms = s.now_ms();
      std::vector<keyed> records{{fmt::format("k{}", i % 5), std::string(200, 'x')}};
      co_await s.append(std::move(records));
      sent.emplace_back(at_ms, i);
      co_await s.wait(std::chrono::milliseconds(50));
    }
    co_await s.wait(seconds(5));
    const contents found = co_await s.check();
    EXPECT_LT(found.size(), 250u);
    for (size_t i = 0; i < sent.size(); i += 11) {
      auto at = co_await s.store->find_timestamp(*s.log(), sent[i].first, read_bound::high_watermark);
      EXPECT_TRUE(at && *at);
      if (at && *at) EXPECT_EQ((*at)->offset.value(), found.lower_bound(sent[i].second)->first);
    }
    auto newest = co_await s.store->find_max_timestamp(*s.log());
    EXPECT_TRUE(newest && *newest);
    if (newest && *newest) EXPECT_EQ((*newest)->offset.value(), 299);
    co_await s.close();
  };
  world.run(story());
}

TEST(compaction, a_repeat_is_known_though_its_original_is_gone) {
  sim_world world(9);
  compacted_subject s(small_segments());
  const auto story = [&]() -> task<void> {
    co_await s.open();
    const producer_stamp stamp{.id = 9, .epoch = 0, .sequence = 0};
    std::vector<keyed> records{{"filler", "of the producer"}};
    co_await s.append(records, protocol::codec::none, stamp);
    co_await s.fill(5 * segment_bytes);
    co_await s.wait(seconds(5));
    for (int i = 0; i < 2; ++i) {
      const auto batch = make_keyed_batch(records, s.now_ms(), protocol::codec::none, stamp);
      const auto again = s.store->append(*s.log(), batch, append_origin::client);
      EXPECT_TRUE(again && again->is_duplicate && again->base_offset == offset(0));
      co_await s.restart();
    }
    co_await s.close();
  };
  world.run(story());
}

// Where the batch of each record lies, and which of them have records at all.
struct place {
  std::string path;
  uint64_t at = 0;
  uint64_t bytes = 0;
};

std::map<int64_t, place> places_on(const runtime::sim_disk& disk) {
  std::map<int64_t, place> places;
  for (const std::string& path : disk.files()) {
    if (!path.ends_with(".log") || !path.starts_with("/data/topic1-0/")) continue;
    const std::vector<std::byte> bytes = *disk.content(path);
    for (uint64_t at = 0; at + protocol::batch_header_bytes <= bytes.size();) {
      const auto header = protocol::batch_header::load(bytes.data() + at);
      for (int64_t o = header.base_offset; o <= header.last_offset(); ++o)
        places[o] = {path, at, header.size_bytes()};
      at += header.size_bytes();
    }
  }
  return places;
}

TEST(compaction, a_flipped_bit_hides_the_batch_it_is_in_and_no_other) {
  std::shared_ptr<runtime::sim_disk> left;
  compacted_subject s({.segment_bytes = 150'000, .index_interval_bytes = 2'000, .dirty_ratio_min = 0.01});
  contents clean;
  {
    sim_world world(11);
    prng random(11);
    const auto story = [&]() -> task<void> {
      co_await s.open();
      for (int i = 0; i < 900; ++i) {
        std::vector<keyed> records{
            {fmt::format("k{}", random.below(300)), std::string(random.below(2'000), 'x')},
            {fmt::format("k{}", random.below(300)), fmt::format("{}", i)}};
        co_await s.append(std::move(records));
      }
      co_await s.wait(seconds(10));
      clean = co_await s.check();
      EXPECT_LT(clean.size(), 900u);
      co_await s.close();
    };
    world.run(story());
    left = world.shared_disk();
  }
  const auto places = places_on(*left);
  prng random(12);
  size_t hidden = 0;
  for (int flip = 0; flip < 150 && !::testing::Test::HasFailure(); ++flip) {
    auto disk = left->after_kill(flip);
    auto damaged = places.begin();
    std::advance(damaged, random.below(places.size()));
    const place where = damaged->second;
    // Every other time what no crc covers.
    const uint64_t at = where.at + random.below(flip % 2 == 0 ? where.bytes : 16);
    disk->flip(where.path, at, static_cast<std::byte>(1u << random.below(8)));
    sim_world world(flip, {.disk = disk});
    const auto story = [&]() -> task<void> {
      co_await s.open();
      bool is_refused = false;
      for (const auto& [offset_of, record] : clean) {
        const read_request request{offset(offset_of), 1, true, read_bound::high_watermark};
        auto got = co_await s.store->read(*s.log(), request);
        const place& its = places.at(offset_of);
        const bool is_hit = its.path == where.path && its.at == where.at;
        if (!got) {
          EXPECT_EQ(got.error().code, errc::corruption);
          EXPECT_TRUE(is_hit) << "offset " << offset_of << " is refused, flipped at " << at << " of "
                              << where.path;
          is_refused = true;
          continue;
        }
        contents served;
        add_records(served, got->records);
        for (const auto& [o, r] : served) EXPECT_TRUE(clean.contains(o) && clean.at(o) == r) << o;
        EXPECT_FALSE(is_hit) << "offset " << offset_of << ", flipped at " << at - where.at << " of its batch";
      }
      EXPECT_EQ(s.store->stats().damaged_blocks, 1u);
      EXPECT_EQ(s.store->stats().damaged_checksums, 0u);
      hidden += is_refused ? 1 : 0;
      co_await s.close();
    };
    world.run(story());
  }
  EXPECT_GE(hidden, 140u);
}

TEST(compaction, damage_to_checksums_and_indexes_hides_nothing) {
  std::shared_ptr<runtime::sim_disk> left;
  compacted_subject s(small_segments());
  contents clean;
  {
    sim_world world(13);
    const auto story = [&]() -> task<void> {
      co_await s.open();
      for (int i = 0; i < 500; ++i) {
        std::vector<keyed> records{{fmt::format("k{}", i % 150), std::string(static_cast<size_t>(i), 'x')}};
        co_await s.append(std::move(records));
      }
      co_await s.wait(seconds(10));
      clean = co_await s.check();
      co_await s.close();
    };
    world.run(story());
    left = world.shared_disk();
  }
  std::vector<std::string> paths;
  for (const std::string& path : left->files())
    if (path.starts_with("/data/topic1-0/") && !path.ends_with(".log") && !left->content(path)->empty() &&
        (path.ends_with(".sums") || path.ends_with("index")))
      paths.push_back(path);
  prng random(14);
  for (int flip = 0; flip < 80 && !::testing::Test::HasFailure(); ++flip) {
    auto disk = left->after_kill(flip);
    const std::string& path = paths[random.below(paths.size())];
    disk->flip(path, random.below(left->content(path)->size()),
               static_cast<std::byte>(1u << random.below(8)));
    sim_world world(flip, {.disk = disk});
    const auto story = [&]() -> task<void> {
      co_await s.open();
      const contents found = co_await s.check();
      EXPECT_EQ(found, clean) << path;
      EXPECT_EQ(s.store->stats().damaged_blocks, 0u);
      co_await s.close();
    };
    world.run(story());
  }
}

// The disk is full, or fails, at any of the operations of a compaction: the old segments are there or the new
// ones, reads go on, and a restart finds all that was acknowledged.
TEST(compaction, survives_a_full_or_failing_disk_at_each_of_its_operations) {
  struct operation {
    runtime::io_kind kind;
    const char* path_part;
  };
  const operation operations[] = {
      {runtime::io_kind::open, ".swap"},           {runtime::io_kind::write, ".swap"},
      {runtime::io_kind::truncate, ".swap"},       {runtime::io_kind::sync_all, ".swap"},
      {runtime::io_kind::rename, ".swap"},         {runtime::io_kind::sync_directory, "topic1-0"},
      {runtime::io_kind::write, "checkpoint.0"},   {runtime::io_kind::rename, "checkpoint.0"},
      {runtime::io_kind::read, "topic1-0/000000"},
  };
  uint64_t seed = 0;
  for (const operation& op : operations) {
    for (uint64_t nth = 0; nth < 8 && !::testing::Test::HasFailure(); ++nth) {
      const bool is_full = op.kind != runtime::io_kind::read && (nth + seed) % 2 == 0;
      sim_world world(++seed);
      compacted_subject s(small_segments());
      s.options.compaction_interval = std::chrono::hours(1);
      s.options.retention_check_interval = std::chrono::hours(24);
      const auto story = [&]() -> task<void> {
        co_await s.open();
        for (int i = 0; i < 150; ++i) {
          std::vector<keyed> records{{fmt::format("k{}", i % 20), std::string(700, 'x')}};
          co_await s.append(std::move(records));
        }
        co_await s.restart();
        world.disk().inject({op.kind, op.path_part, is_full ? ENOSPC : EIO, nth, 1});
        co_await s.wait(std::chrono::minutes(70));
        world.disk().clear_faults();
        co_await s.check();
        if (is_full) {
          // Space is back, and the work is done the next time.
          co_await s.wait(std::chrono::minutes(70));
          EXPECT_GT(s.log()->cleaned_to().value(), 0);
          EXPECT_FALSE(s.store->read_only_reason());
          co_await s.check();
        }
        auto closed = co_await s.store->close();
        EXPECT_TRUE(closed || s.store->read_only_reason());
        s.store.reset();
        co_await s.open();
        co_await s.check();
        EXPECT_EQ(s.store->stats().damaged_blocks, 0u);
        co_await s.wait(std::chrono::minutes(70));
        EXPECT_GT(s.log()->cleaned_to().value(), 0);
        co_await s.check();
        EXPECT_EQ(files_that_end(world.disk(), ".swap"), 0u);
        co_await s.close();
      };
      world.run(story());
      if (HasFailure())
        ADD_FAILURE() << op.path_part << " operation " << nth << (is_full ? " full" : " fails");
    }
  }
}

// Random keys, deletions, time, restarts, log starts; against what was appended.
TEST(compaction, is_right_for_any_sequence) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    sim_world world(seed);
    prng random(seed);
    partition_config config = small_segments();
    config.segment_bytes = 2'000 + random.below(20'000);
    config.index_interval_bytes = 200;
    config.delete_retention_ms = static_cast<int64_t>(random.below(20'000));
    config.compaction_lag_min_ms = random.one_in(3) ? 5'000 : 0;
    compacted_subject s(config);
    if (random.one_in(3)) s.options.compaction_map_bytes = 30 * 24;
    const uint64_t keys = 1 + random.below(60);
    const auto story = [&]() -> task<void> {
      co_await s.open();
      for (int step = 0; step < 300; ++step) {
        std::vector<keyed> records;
        for (uint64_t n = 1 + random.below(4); n > 0; --n) {
          keyed r{fmt::format("k{}", random.below(keys)), std::nullopt};
          if (!random.one_in(4)) r.value = fmt::format("{}-{}", step, std::string(random.below(400), 'v'));
          records.push_back(std::move(r));
        }
        co_await s.append(std::move(records), static_cast<protocol::codec>(random.below(5)));
        if (random.one_in(15)) co_await s.wait(std::chrono::milliseconds(random.below(8'000)));
        if (random.one_in(60)) co_await s.restart();
        if (random.one_in(40)) co_await s.check();
        if (random.one_in(150)) world.step_wall_clock(random.one_in(2) ? 3'600'000 : -3'600'000);
      }
      co_await s.wait(seconds(20));
      co_await s.check();
      const store_stats stats = s.store->stats();
      EXPECT_EQ(stats.damaged_blocks + stats.damaged_checksums, 0u);
      co_await s.restart();
      co_await s.check();
      co_await s.close();
    };
    world.run(story());
    if (HasFailure()) {
      ADD_FAILURE() << "seed " << seed;
      break;
    }
  }
}

}  // namespace
}  // namespace millrace::storage
