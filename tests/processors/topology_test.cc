// Exactly once, for topologies nobody has thought of: random processors in random chains and trees, stateful
// ones, windows and joins among them, inline, on threads and in processes, on one to four shards; random
// produces, processors replaced, held and let go at random moments, crashes at random operations of the disk,
// restarts with other numbers of shards. After each, what every topic holds, what every changelog folds up
// to, equals a failure-free run's result over the input that is there. And the same records in other batches
// lead to the same results.
//
//   topology_test        MILLRACE_SEED is the first seed, MILLRACE_EFFORT how many (percent of 100)
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/fault.h"
#include "tests/processors/topology_life.h"

namespace millrace::processors {
namespace {

using namespace kit;

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}
uint64_t first_seed() {
  return from_environment("MILLRACE_SEED", 20261121);
}
// So many of `all` as the effort says.
uint64_t runs_of(uint64_t all) {
  return std::max<uint64_t>(3, all * from_environment("MILLRACE_EFFORT", 100) / 100);
}

// Four lives on one disk; returns what went wrong.
std::string run(uint64_t seed, totals& sum, const beginning& begin) {
  prng random(seed);
  outside o{random_topology(random, begin), sum, {}};
  auto disk = std::make_shared<runtime::sim_disk>(seed);
  std::string problem;
  for (int n = 0; n < 4 && problem.empty(); ++n) {
    const bool is_last = n == 3;
    const auto shards = static_cast<uint32_t>(1 + random.below(4));
    if (!is_last) disk->crash_at(disk->change_count() + 1 + random.below(random.below(3) == 0 ? 600 : 120));
    runtime::sim_world world(seed * 5 + static_cast<uint64_t>(n), {.shards = shards, .disk = disk});
    life l(o, *disk, shards, random.next());
    problem = world.run(l.run(is_last ? 5 : 40));
    if (!problem.empty()) problem = fmt::format("life {} on {} shards: {}", n + 1, shards, problem);
    if (!disk->has_crashed()) continue;
    ++sum.crashes;
    disk = random.below(3) == 0 ? disk->after_kill(random.next()) : disk->after_power_cut(random.next());
  }
  return problem;
}

TEST(topology_test, derived_topics_and_state_equal_a_failure_free_runs) {
  const uint64_t base = first_seed();
  const uint64_t runs = runs_of(100);
  std::cout << "seeds " << base << " to " << base + runs - 1 << std::endl;
  totals sum;
  for (uint64_t seed = base; seed < base + runs; ++seed) {
    const std::string problem = run(seed, sum, beginning_of(seed));
    ASSERT_EQ(problem, "") << "seed " << seed << ": repeat with MILLRACE_SEED=" << seed
                           << " MILLRACE_EFFORT=1";
  }
  std::cout << sum.crashes << " crashes, " << sum.derived << " records derived, " << sum.modelled
            << " of them expected by a model as well, " << sum.restored << " restored from changelogs, "
            << sum.snapshots << " snapshots, " << sum.changes
            << " times a processor was replaced, held or let go, " << sum.migrations
            << " times its state was migrated, " << sum.replays << " replays, " << sum.shadows
            << " shadows with " << sum.compared << " records, " << sum.sent
            << " times records from one partition found in another, " << sum.apart << " calls apart, "
            << sum.turns << " turns of several inputs" << std::endl;
  for (const auto& [kind, records] : sum.records_in)
    std::cout << "  " << kind << ": " << records << " records in" << std::endl;
  if (runs < beginnings()) return;  // too few for all of this to come up for certain
  for (const auto& code : known_codes()) EXPECT_GT(sum.records_in[code->name()], runs) << code->name();
  EXPECT_GT(sum.crashes, runs / 2);
  EXPECT_GT(sum.modelled, runs);
  EXPECT_GT(sum.sent, runs / 2);
  EXPECT_GT(sum.apart, runs / 2);
  EXPECT_GE(sum.migrations, runs / 20);
  EXPECT_GE(sum.replays, runs / 3);
  EXPECT_GE(sum.shadows, runs / 4);
  EXPECT_GT(sum.compared, runs);
}

// What is in one and not in the other, or is something else; empty if nothing.
std::string difference(const contents& a, const contents& b) {
  for (const auto& [partition, records] : a) {
    const auto others = b.find(partition);
    if (others == b.end()) return partition + " is in one only";
    if (records != others->second)
      return fmt::format("{} has {} records and {}, the first difference is at {}", partition, records.size(),
                         others->second.size(),
                         std::ranges::mismatch(records, others->second).in1 - records.begin());
  }
  return a.size() == b.size() ? "" : "there are partitions in the second only";
}

// One topology twice, each time with the same records in other batches, on other shards; other processors
// wait until all of them are there.
TEST(topology_test, results_do_not_depend_on_where_batches_begin_and_end) {
  const uint64_t base = first_seed();
  const uint64_t runs = runs_of(beginnings());
  uint64_t compared = 0;
  for (uint64_t seed = base; seed < base + runs; ++seed) {
    prng random(seed);
    totals sum;
    outside o{random_topology(random, beginning_of(seed)), sum, {}};
    told_records records;
    for (const std::string& source : o.what.sources)
      for (int32_t p = 0; p < o.what.partitions.at(source); ++p)
        records[{source, p}] = next_records(random, o.next_number, random.below(200));
    contents there[2];
    for (contents& one : there) {
      const auto shards = static_cast<uint32_t>(1 + random.below(4));
      const auto disk = std::make_shared<runtime::sim_disk>(random.next());
      runtime::sim_world world(random.next(), {.shards = shards, .disk = disk});
      life l(o, *disk, shards, random.next());
      const std::string problem = world.run(l.retell(records, one));
      ASSERT_EQ(problem, "") << "seed " << seed;
      for (const auto& [partition, all] : one) compared += all.size();
    }
    ASSERT_EQ(difference(there[0], there[1]), "")
        << "seed " << seed << ": repeat with MILLRACE_SEED=" << seed << " MILLRACE_EFFORT=1";
  }
  std::cout << compared << " records compared" << std::endl;
  EXPECT_GT(compared, runs * 100);
}

#ifdef MILLRACE_FAULTS
// The checker proves itself: with a mistake switched on it finds one soon. In a process of its own, since an
// assertion may find it first.
class seeded_fault_test : public testing::TestWithParam<const char*> {};

TEST_P(seeded_fault_test, is_noticed) {
  const pid_t child = fork();
  if (child == 0) {
    if (!std::freopen("/dev/null", "w", stderr)) _exit(2);
    storage::active_fault() = GetParam();
    totals sum;
    // A mistake with records on their way to other partitions shows only where some are.
    const std::string_view fault = GetParam();
    const bool is_on_the_way = fault == "undurable_sent" || fault == "position_apart_from_records" ||
                               fault == "outbox_trimmed_early";
    for (uint64_t seed = 1; seed <= 400; ++seed) {
      beginning begin = beginning_of(seed);
      if (is_on_the_way) begin.first = code_of<scatterer_traits>();
      if (!run(seed, sum, begin).empty()) _exit(1);
    }
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "400 seeds did not notice";
  EXPECT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == 2);
}

INSTANTIATE_TEST_SUITE_P(each, seeded_fault_test,
                         testing::Values("cursor_not_logged", "output_in_later_frame", "state_not_taken_back",
                                         "removals_not_logged", "snapshot_claims_more",
                                         "stream_time_forgotten", "store_not_restored", "letter_twice",
                                         "ack_before_durable", "outbox_trimmed_early",
                                         "position_apart_from_records", "undurable_sent", "ended_call_counts",
                                         "position_of_one_input"),
                         [](const auto& info) { return std::string(info.param); });
#endif

}  // namespace
}  // namespace millrace::processors

int main(int argc, char** argv) {
  if (millrace::processors::kit::is_guest(argc, argv, millrace::processors::kit::known_codes())) return 0;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
