// Bits that flip on the disk: each is found and located, none is served, and what is beside it stays
// readable.
#include <algorithm>
#include <gtest/gtest.h>
#include <map>

#include "base/checksum.h"
#include "runtime/fs.h"
#include "runtime/reactor.h"
#include "runtime/sim/world.h"
#include "tests/storage/fixture.h"

namespace millrace::storage {
namespace {

using runtime::sim_disk;
using runtime::sim_world;
using runtime::task;

constexpr int batches = 160;

partition_spec spec() {
  return make_spec(1, 0, {.segment_bytes = 200'000, .retention_ms = -1});
}

std::string name_of(int n) {
  return fmt::format("k{}", n);
}

task<std::unique_ptr<shard_store>> must_open(uint64_t scrub_bytes_per_second = 0) {
  auto made = co_await runtime::fs::make_directories("/data");
  EXPECT_TRUE(made);
  store_options options = small_options("/data");
  options.scrub_bytes_per_second = scrub_bytes_per_second;
  std::vector<partition_spec> specs{spec()};
  auto store = co_await shard_store::open(std::move(options), std::move(specs));
  EXPECT_TRUE(store) << to_string(store.error());
  if (!store) co_return nullptr;
  co_return *std::move(store);
}

// In several runs, so that the active segment is gone on with.
task<void> fill(uint64_t seed) {
  prng random(seed);
  for (int n = 0; n < batches;) {
    auto store = co_await must_open();
    for (const int until = n + 40; n < until; ++n) {
      auto admitted = co_await store->admit(4'000);
      EXPECT_TRUE(admitted);
      const auto batch = make_batch(name_of(n), 1, 1'000 + random.below(5'000));
      const auto done = store->append(*store->find(spec().id), batch, append_origin::client);
      EXPECT_TRUE(done);
      auto durable = co_await store->wait_durable(done->durable_at);
      EXPECT_TRUE(durable);
    }
    auto closed = co_await store->close();
    EXPECT_TRUE(closed);
  }
}

struct place {
  std::string path;
  uint64_t at = 0;
  uint64_t bytes = 0;
};

// Where each record lies.
std::map<int64_t, place> places_on(const sim_disk& disk) {
  std::map<int64_t, place> places;
  for (const std::string& path : disk.files()) {
    if (!path.ends_with(".log")) continue;
    const std::vector<std::byte> bytes = *disk.content(path);
    for (uint64_t at = 0; at + protocol::batch_header_bytes <= bytes.size();) {
      const auto header = protocol::batch_header::load(bytes.data() + at);
      places[header.base_offset] = {path, at, header.size_bytes()};
      at += header.size_bytes();
    }
  }
  return places;
}

struct seen {
  std::map<int64_t, uint64_t> digests;  // of what was served, by offset
  std::vector<int64_t> refused;
  store_stats stats;
};

// Reads each record by itself, as a consumer that begins there would.
task<void> read_each(seen& what, uint64_t scrub_bytes_per_second) {
  auto store = co_await must_open(scrub_bytes_per_second);
  if (scrub_bytes_per_second > 0) co_await runtime::reactor::current().sleep(std::chrono::seconds(30));
  for (int64_t n = 0; scrub_bytes_per_second == 0 && n < batches; ++n) {
    const read_request request{offset(n), 1, true, read_bound::high_watermark};
    auto got = co_await store->read(*store->find(spec().id), request);
    if (!got) {
      EXPECT_EQ(got.error().code, errc::corruption) << to_string(got.error());
      what.refused.push_back(n);
      continue;
    }
    EXPECT_EQ(got->records.slices().size(), 1u);
    const slice batch = got->records.slices().front();
    const auto header = protocol::batch_header::load(batch.data());
    what.digests[header.base_offset] = xxh3(batch);
    EXPECT_EQ(header.base_offset, n);
  }
  what.stats = store->stats();
  auto closed = co_await store->close();
  EXPECT_TRUE(closed);
}

class flips : public ::testing::Test {
 protected:
  void SetUp() override {
    sim_world world(1);
    world.run(fill(1));
    disk_ = world.shared_disk();
    sim_world reader(2, {.disk = disk_->after_power_cut(1)});
    reader.run(read_each(clean_, 0));
    EXPECT_EQ(clean_.digests.size(), static_cast<size_t>(batches));
    EXPECT_EQ(clean_.stats.damaged_blocks, 0u);
    EXPECT_EQ(clean_.stats.damaged_checksums, 0u);
  }
  std::string pick(prng& random, std::string_view suffix) const {
    std::vector<std::string> paths;
    for (const std::string& path : disk_->files())
      if (path.starts_with("/data/topic1-0/") && path.ends_with(suffix) && !disk_->content(path)->empty())
        paths.push_back(path);
    return paths[random.below(paths.size())];
  }
  // A disk with one bit changed in a file of this kind.
  std::shared_ptr<sim_disk> flipped(prng& random, std::string_view suffix, std::string& path,
                                    uint64_t& at) const {
    auto disk = disk_->after_power_cut(1);
    path = pick(random, suffix);
    at = random.below(disk_->content(path)->size());
    EXPECT_TRUE(disk->flip(path, at, static_cast<std::byte>(1u << random.below(8))));
    return disk;
  }

  std::shared_ptr<sim_disk> disk_;
  seen clean_;
};

TEST_F(flips, in_segments_hide_the_record_they_are_in_and_no_other) {
  const auto places = places_on(*disk_);
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    prng random(seed);
    std::string path;
    uint64_t at = 0;
    sim_world world(seed, {.disk = flipped(random, ".log", path, at)});
    seen found;
    world.run(read_each(found, 0));
    EXPECT_EQ(found.stats.damaged_blocks, 1u);
    for (const int64_t n : found.refused) {
      const place& p = places.at(n);
      EXPECT_TRUE(p.path == path && p.at <= at && at < p.at + p.bytes) << "record " << n;
    }
    EXPECT_EQ(found.refused.size(), 1u);
    for (const auto& [n, digest] : found.digests) EXPECT_EQ(digest, clean_.digests.at(n)) << "record " << n;
    EXPECT_EQ(found.digests.size() + found.refused.size(), static_cast<size_t>(batches));
  }
}

TEST_F(flips, in_checksums_are_told_apart_and_hide_nothing) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    prng random(seed);
    std::string path;
    uint64_t at = 0;
    sim_world world(seed, {.disk = flipped(random, ".sums", path, at)});
    seen found;
    world.run(read_each(found, 0));
    EXPECT_EQ(found.stats.damaged_blocks, 0u);
    EXPECT_GE(found.stats.damaged_checksums, 1u);
    EXPECT_EQ(found.digests, clean_.digests);
  }
}

TEST_F(flips, in_indexes_hide_nothing) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    prng random(seed);
    std::string path;
    uint64_t at = 0;
    sim_world world(seed, {.disk = flipped(random, ".index", path, at)});
    seen found;
    world.run(read_each(found, 0));
    EXPECT_EQ(found.digests, clean_.digests);
    EXPECT_EQ(found.stats.damaged_blocks, 0u);
  }
}

TEST_F(flips, are_found_by_the_scrub_where_nobody_reads) {
  const auto places = places_on(*disk_);
  int found_count = 0;
  int hidden_count = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    prng random(seed);
    std::string path;
    uint64_t at = 0;
    sim_world world(seed, {.disk = flipped(random, ".log", path, at)});
    // The scrub leaves the end of the active segment, which is not in the checksums' file, to readers.
    const std::string sums = path.substr(0, path.size() - 3) + "sums";
    const uint64_t entries = (disk_->content(sums)->size() - 16) / 16;
    seen found;
    world.run(read_each(found, 1'000'000));
    const bool is_covered = at < entries * 65536;
    EXPECT_EQ(found.stats.damaged_blocks, is_covered ? 1u : 0u);
    EXPECT_GT(found.stats.scrubbed_bytes, 400'000u);
    (is_covered ? found_count : hidden_count) += 1;
  }
  EXPECT_GT(found_count, 30);
}

}  // namespace
}  // namespace millrace::storage
