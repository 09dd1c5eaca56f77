// millrace_bench: one benchmark run as a client; prints one JSON object. See tests/perf/README.md.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fmt/format.h>

#include "tests/perf/bench/load.h"
#include "tools/text/json.h"

namespace millrace::perf {

namespace {

void add_latency(tools::json_writer& json, std::string_view name, samples& latency) {
  if (latency.count() == 0) return;
  json.key(name).begin_object();
  for (const auto& [title, q] :
       {std::pair("p50", 0.5), {"p90", 0.9}, {"p99", 0.99}, {"p99_9", 0.999}, {"max", 1.0}}) {
    json.member(title, latency.quantile(q));
  }
  json.end_object();
}

std::string as_json(load_result& seen) {
  std::string text;
  tools::json_writer json(text);
  const double records = static_cast<double>(seen.records);
  json.begin_object()
      .member("records", seen.records)
      .member("failed", seen.failed)
      .member("bytes", seen.bytes);
  json.member("seconds", seen.seconds).member("client_cpu_seconds", seen.client_cpu_seconds);
  json.member("records_per_second", records / seen.seconds);
  json.member("mib_per_second", static_cast<double>(seen.bytes) / seen.seconds / (1 << 20));
  add_latency(json, "ack_latency_us", seen.ack_latency);
  add_latency(json, "end_to_end_latency_us", seen.end_to_end_latency);
  json.end_object();
  return text;
}

int run(int argc, char** argv) {
  CLI::App app("One client's load on a Kafka-compatible broker, and what it saw.");
  std::string kind;
  load_options o;
  app.add_option("KIND", kind, "What to do")
      ->required()
      ->check(CLI::IsMember({"produce", "consume", "echo", "derive"}));
  app.add_option("TOPIC", o.topic, "An existing topic")->required();
  app.add_option("-b,--bootstrap", o.to.bootstrap, "Brokers")->capture_default_str();
  app.add_option("-X,--property", o.to.properties, "librdkafka property KEY=VALUE")->allow_extra_args(false);
  app.add_option("-n,--records", o.records, "How many records")->required()->check(CLI::PositiveNumber);
  app.add_option("--size", o.record_bytes, "Bytes of a value")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--batch-bytes", o.batch_bytes, "Largest batch")->capture_default_str();
  app.add_option("--batch-records", o.batch_records, "Most records in a batch")->capture_default_str();
  app.add_option("--linger", o.linger_ms, "Milliseconds to wait for a fuller batch")->capture_default_str();
  app.add_option("--acks", o.acks, "0, 1 or all")->capture_default_str();
  app.add_option("--codec", o.codec, "Compression")->capture_default_str();
  app.add_option("--rate", o.rate, "Records per second; 0: as fast as it goes")->capture_default_str();
  app.add_option("--derived", o.derived, "Topic to consume, made of TOPIC by a processor");
  app.add_option("--keys", o.keys, "Keys in each partition; 0: no keys")->capture_default_str();
  app.add_option("--passing", o.passing, "Least \"temp\" of the records that are passed on")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  auto seen = kind == "produce"   ? run_produce(o)
              : kind == "consume" ? run_consume(o)
              : kind == "derive"  ? run_derive(o)
                                  : run_echo(o);
  if (!seen) {
    fmt::print(stderr, "millrace_bench: {}\n", to_string(seen.error()));
    return 1;
  }
  fmt::print("{}\n", as_json(*seen));
  return seen->failed == 0 ? 0 : 1;
}

}  // namespace

}  // namespace millrace::perf

int main(int argc, char** argv) {
  return millrace::perf::run(argc, argv);
}
