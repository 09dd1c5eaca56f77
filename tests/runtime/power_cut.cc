// power_cut: acts out power cuts on a recorded run.
//
//   power_cut info RECORDING
//       prints the number of events
//   power_cut build RECORDING ROOT INITIAL OUT SEED CUT...
//       for each cut (a number of events, ascending) writes the data directory ROOT as a power cut there
//       may have left it to OUT/<cut>, and prints "<cut> <time_ns>": what a client saw acknowledged before
//       that CLOCK_MONOTONIC time must be in it. INITIAL: a copy of ROOT from before the run, or "-".
//
// A recording is made by running any program of the project with MILLRACE_RECORD_IO=RECORDING.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fmt/format.h>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/record.h"

namespace millrace::runtime {
namespace {

int complain(const error& e) {
  fmt::print(stderr, "{}\n", to_string(e));
  return 1;
}

int count_events(const std::string& recording) {
  uint64_t count = 0;
  auto run = recorded_run::load(recording, "/", "");
  if (!run) return complain(run.error());
  while (run->skip()) ++count;
  fmt::print("{}\n", count);
  return 0;
}

int build(const std::vector<std::string>& arguments) {
  auto run =
      recorded_run::load(arguments[0], arguments[1], arguments[2] == "-" ? std::string() : arguments[2]);
  if (!run) return complain(run.error());
  const uint64_t seed = std::strtoull(arguments[4].c_str(), nullptr, 10);
  for (size_t i = 5; i < arguments.size(); ++i) {
    const uint64_t cut = std::strtoull(arguments[i].c_str(), nullptr, 10);
    while (run->position() < cut) {
      auto more = run->advance();
      if (!more) return complain(more.error());
      if (!*more) break;
    }
    const std::string out = fmt::format("{}/{}", arguments[3], cut);
    if (auto written = run->write_directory(seed + cut, out); !written) return complain(written.error());
    fmt::print("{} {}\n", cut, run->next_time_ns().value_or(std::numeric_limits<uint64_t>::max()));
  }
  return 0;
}

}  // namespace
}  // namespace millrace::runtime

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + std::min(argc, 2), argv + argc);
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "info" && arguments.size() == 1) return millrace::runtime::count_events(arguments[0]);
  if (verb == "build" && arguments.size() >= 6) return millrace::runtime::build(arguments);
  fmt::print(
      stderr,
      "usage: power_cut info RECORDING\n       power_cut build RECORDING ROOT INITIAL OUT SEED CUT...\n");
  return 2;
}
