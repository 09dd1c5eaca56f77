// crash_test: the stores of all shards are crashed at seeded changes of their disk, ten thousand times, and
// must have kept every promise each time they open again.
//
//   crash_test [--points N] [--seed S] [--lives N] [--soak] [--verbose]
//
// Runs whole stories, each with the seed after the last one's, until they hold N power cuts and kills; --soak
// never ends. A story (see lives.h) has 10 lives, or as many as --lives says, some of which end in an orderly
// stop, and at its end flipped bits must be noticed. The first seed is --seed, else MILLRACE_SEED, else 1;
// N is --points, else MILLRACE_EFFORT percent of 10,000. The first failure, abort or endless wait ends the
// test and prints the seed with which `crash_test --seed S --points 1` (and the same --lives) repeats it
// exactly.
// --verbose tells of every story and life, and shows the log.
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <string_view>

#include "tests/sim/lives.h"

namespace {

uint64_t number_or(const char* text, uint64_t otherwise) {
  if (!text) return otherwise;
  uint64_t value = otherwise;
  std::from_chars(text, text + std::strlen(text), value);
  return value;
}

uint64_t current_seed = 0;

// An assertion of storage, or a program that waits for ever, ends in abort(): say which seed it was.
void tell_seed(int) {
  fmt::print("seed {} aborted\nrepeat with: crash_test --seed {} --points 1 --verbose\n", current_seed,
             current_seed);
  std::fflush(stdout);
  std::_Exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace millrace::sim_test;
  uint64_t seed = number_or(std::getenv("MILLRACE_SEED"), 1);
  uint64_t points = 10'000 * number_or(std::getenv("MILLRACE_EFFORT"), 100) / 100;
  run_options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    const char* next = i + 1 < argc ? argv[i + 1] : nullptr;
    if (flag == "--soak") {
      points = UINT64_MAX;
    } else if (flag == "--verbose") {
      options.verbose = true;
    } else if (flag == "--seed") {
      seed = number_or(next, seed), ++i;
    } else if (flag == "--points") {
      points = number_or(next, points), ++i;
    } else if (flag == "--lives") {
      options.lives = static_cast<int>(number_or(next, 10)), ++i;
    } else {
      fmt::print(stderr, "unknown flag {}\n", flag);
      return 2;
    }
  }
  // The broken disks of ten thousand lives are not worth reading about.
  if (!options.verbose && !std::freopen("/dev/null", "w", stderr)) return 2;
  fmt::print("first seed {}\n", seed);
  std::fflush(stdout);
  std::signal(SIGABRT, tell_seed);
  const auto begun = std::chrono::steady_clock::now();
  run_result sum;
  uint64_t stories = 0;
  for (; sum.lives < points; ++seed, ++stories) {
    current_seed = seed;
    const run_result r = run_lives(seed, options);
    sum.lives += r.lives;
    sum.appended += r.appended;
    sum.acknowledged += r.acknowledged;
    sum.derived += r.derived;
    sum.duplicates += r.duplicates;
    sum.suffixes_lost += r.suffixes_lost;
    sum.changes += r.changes;
    sum.compactions += r.compactions;
    if (r.failure) {
      fmt::print("seed {} failed: {}\nrepeat with: crash_test --seed {} --points 1\n", seed, *r.failure,
                 seed);
      return 1;
    }
    if (options.verbose) fmt::print("seed {} lives {} appended {}\n", seed, r.lives, r.appended);
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  fmt::print(
      "{} crashes in {} stories, {} disk changes, {} appends, {} acknowledged, {} derived, {} duplicates, "
      "{} losses that were allowed, {} compactions; {:.1f} s\n",
      sum.lives, stories, sum.changes, sum.appended, sum.acknowledged, sum.derived, sum.duplicates,
      sum.suffixes_lost, sum.compactions, seconds);
  return 0;
}
