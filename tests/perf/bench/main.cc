// millrace_bench: a load whose derived records are what counts; prints one JSON object. What needs no
// processor is `millrace bench`. See tests/perf/README.md.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fmt/format.h>

#include "tests/perf/bench/derived.h"
#include "tools/bench/report.h"

namespace millrace::perf {

namespace {

int run(int argc, char** argv) {
  CLI::App app("One client's load on a topic that a processor reads, and what it saw of the derived one.");
  std::string kind;
  int64_t passing = 0;
  tools::load_options o;
  app.add_option("KIND", kind, "What to do")->required()->check(CLI::IsMember({"latency", "derive"}));
  app.add_option("TOPIC", o.topic, "An existing topic")->required();
  app.add_option("-b,--bootstrap", o.to.bootstrap, "Brokers")->capture_default_str();
  app.add_option("-n,--records", o.records, "How many records")->required()->check(CLI::PositiveNumber);
  app.add_option("--warm-up", o.warm_up_records, "So many records first, which are in no figure")
      ->capture_default_str();
  app.add_option("--size", o.record_bytes, "Bytes of a value")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--batch-bytes", o.batch_bytes, "Largest batch")->capture_default_str();
  app.add_option("--linger", o.linger_ms, "Milliseconds to wait for a fuller batch")->capture_default_str();
  app.add_option("--rate", o.rate, "Records per second; 0: as fast as it goes")->capture_default_str();
  app.add_option("--derived", o.derived, "Topic to consume, made of TOPIC by a processor")->required();
  app.add_option("--keys", o.keys, "Keys in each partition; 0: no keys")->capture_default_str();
  app.add_option("--passing", passing, "Least \"temp\" of the records that are passed on")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (passing > 0) o.fits = [passing](std::string_view value) { return passes(value, passing); };

  auto seen = kind == "derive" ? run_derive(o) : tools::run_latency(o);
  if (!seen) {
    fmt::print(stderr, "millrace_bench: {}\n", to_string(seen.error()));
    return 1;
  }
  fmt::print("{}", tools::load_as_json(kind, o, *seen));
  return seen->failed == 0 ? 0 : 1;
}

}  // namespace

}  // namespace millrace::perf

int main(int argc, char** argv) {
  return millrace::perf::run(argc, argv);
}
