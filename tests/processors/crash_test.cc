// Derived = f(input), record for record, after a crash at any I/O operation: random batches, codecs, retries
// and pauses on a simulated disk; the power goes at a random change (or the process dies); the next start
// finds what the disk kept. Three lives a run.
#include <cstdlib>
#include <iostream>

#include "base/prng.h"
#include "tests/processors/host_kit.h"

namespace millrace::processors {
namespace {

using namespace kit;

constexpr int32_t partitions = 2;

// What clients know: for each partition of `in`, the values acknowledged, by offset.
using acknowledged = std::map<int32_t, std::map<int64_t, std::string>>;

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::vector<storage::partition_spec> all_partitions() {
  std::vector<storage::partition_spec> specs;
  for (const std::string& topic : sorting_topics)
    for (int32_t p = 0; p < partitions; ++p) specs.push_back(partition_spec_of(topic, p));
  return specs;
}

// What went wrong; empty if nothing.
task<std::string> check(storage::shard_store& store, const acknowledged& acked) {
  for (int32_t p = 0; p < partitions; ++p) {
    const auto input = co_await read_all(store, id_of("in", p));
    if (!input) co_return "in: " + to_string(input.error());
    if (const auto known = acked.find(p); known != acked.end()) {
      for (const auto& [at, value] : known->second) {
        if (at >= static_cast<int64_t>(input->size()) || (*input)[static_cast<size_t>(at)] != value)
          co_return fmt::format("in-{}: offset {} was acknowledged as {} and is not there", p, at, value);
      }
    }
    for (const std::string& topic : sorting_topics) {
      if (topic == "in") continue;
      const auto derived = co_await read_all(store, id_of(topic, p));
      if (!derived) co_return topic + ": " + to_string(derived.error());
      const auto expected = expected_of(topic, *input);
      if (*derived == expected) continue;
      size_t at = 0;
      while (at < derived->size() && at < expected.size() && (*derived)[at] == expected[at]) ++at;
      co_return fmt::format("{}-{} has {} records, {} are implied, the first difference is at {}", topic, p,
                            derived->size(), expected.size(), at);
    }
  }
  co_return std::string();
}

// One life: recover, check, then produce until `batches` are written or the disk dies.
task<std::string> live(runtime::sim_disk& disk, uint64_t seed, acknowledged& acked, int64_t& next_number,
                       int batches) {
  prng random(seed);
  auto opened = co_await open_store(small_store(), all_partitions());
  if (!opened) co_return disk.has_crashed() ? std::string() : "open: " + to_string(opened.error());
  storage::shard_store& store = **opened;
  const deployment deployed = sorting_deployment();
  shard_host host(deployed, store);
  host.start();
  co_await settled(host, store);
  std::string problem;
  if (!store.read_only_reason()) problem = co_await check(store, acked);

  int32_t sequence[partitions] = {};
  const int64_t producer = static_cast<int64_t>(seed >> 1);
  for (int i = 0; i < batches && problem.empty() && !disk.has_crashed(); ++i) {
    const auto admitted = co_await store.admit(1000);
    if (!admitted) break;
    const auto p = static_cast<int32_t>(random.below(partitions));
    std::vector<std::string> values;
    const bool is_large = random.below(20) == 0;
    const uint64_t count = 1 + random.below(is_large ? 40'000 : 30);
    for (uint64_t k = 0; k < count; ++k) values.push_back(std::to_string(next_number++));
    protocol::batch_options options;
    options.compression = static_cast<protocol::codec>(random.below(protocol::codec_count));
    options.producer_id = producer;
    options.producer_epoch = 0;
    options.base_sequence = sequence[p];
    sequence[p] += static_cast<int32_t>(count);
    const protocol::checked_batch batch = batch_of(values, options);
    const auto done = store.append(*store.find(id_of("in", p)), batch, storage::append_origin::client);
    if (!done) break;
    const bool is_retried = random.below(8) == 0;
    if (is_retried) {
      const auto again = store.append(*store.find(id_of("in", p)), batch, storage::append_origin::client);
      if (!again || !again->is_duplicate) problem = "a retry was not recognised";
    }
    if (random.below(3) == 0) continue;  // more batches in the same frame
    const auto durable = co_await store.wait_durable(done->durable_at);
    if (!durable || disk.has_crashed()) break;
    for (size_t k = 0; k < values.size(); ++k)
      acked[p][done->base_offset.value() + static_cast<int64_t>(k)] = values[k];
    const uint64_t pause_us = random.below(4) == 0 ? random.below(20'000) : 0;
    if (pause_us > 0) co_await runtime::reactor::current().sleep(std::chrono::microseconds(pause_us));
  }
  if (problem.empty() && !disk.has_crashed()) {
    co_await settled(host, store);
    if (!disk.has_crashed() && !store.read_only_reason()) problem = co_await check(store, acked);
  }
  co_await host.close();
  const auto closed = co_await store.close();
  if (!closed && !disk.has_crashed() && problem.empty()) problem = "close: " + to_string(closed.error());
  co_return disk.has_crashed() ? std::string() : problem;
}

// Three lives on one disk; returns what went wrong.
std::string run(uint64_t seed) {
  prng random(seed);
  acknowledged acked;
  int64_t next_number = 1;
  auto disk = std::make_shared<runtime::sim_disk>(seed);
  for (int life = 0; life < 3; ++life) {
    const bool is_last = life == 2;
    if (!is_last) disk->crash_at(disk->change_count() + 1 + random.below(random.below(4) == 0 ? 300 : 60));
    runtime::sim_world world(seed * 3 + static_cast<uint64_t>(life), {.shards = 1, .disk = disk});
    const std::string problem = world.run(live(*disk, random.next(), acked, next_number, is_last ? 5 : 40));
    if (!problem.empty()) return fmt::format("life {}: {}", life + 1, problem);
    if (disk->has_crashed())
      disk = random.below(4) == 0 ? disk->after_kill(random.next()) : disk->after_power_cut(random.next());
  }
  return {};
}

TEST(crash_test, derived_records_are_a_function_of_the_input_whatever_crashes) {
  const uint64_t base = from_environment("MILLRACE_SEED", 20261121);
  const uint64_t runs = std::max<uint64_t>(3, 500 * from_environment("MILLRACE_EFFORT", 100) / 100);
  std::cout << "seeds " << base << " to " << base + runs - 1 << std::endl;
  for (uint64_t seed = base; seed < base + runs; ++seed) {
    const std::string problem = run(seed);
    ASSERT_EQ(problem, "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace millrace::processors
