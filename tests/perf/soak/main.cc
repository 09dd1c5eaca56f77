// soak_load: many producers and consumers at a share of the rate that they reach, for a long time. Prints a
// JSON object a line: `peak` once, `soak` every few seconds, `end` with what did not come out as it should.
// See tests/perf/README.md.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/perf/soak/readers.h"
#include "tests/perf/soak/writers.h"
#include "tools/bench/clock.h"

namespace millrace::perf {

namespace {

using namespace std::chrono_literals;
using json = nlohmann::ordered_json;

constexpr int64_t patience_ns = 120'000'000'000;

struct options {
  writers_options write;
  std::vector<std::string> mapped;   // topics with what a mapper passes on of `write.topic`
  std::vector<std::string> counted;  // topics with a record for each of `write.topic`
  uint32_t consumers = 100;
  double peak_seconds = 20;
  double share = 0.7;
  double seconds = 1800;
  double every = 5;
};

struct group {
  std::unique_ptr<readers> of;
  bool is_mapped = false;
  bool is_derived = false;
};

void print(const json& line) {
  fmt::print("{}\n", line.dump());
  std::fflush(stdout);
}

void put_latency(json& line, const std::string& name, tools::samples& latency) {
  if (latency.count() == 0) return;
  for (const auto& [quantile, q] : {std::pair{"p50", 0.5}, {"p99", 0.99}, {"p99_9", 0.999}})
    line[fmt::format("{}_{}", name, quantile)] = latency.quantile(q) / 1000;
}

class soak {
 public:
  explicit soak(options o) : options_(std::move(o)) {}

  result<bool> run() {
    auto w = writers::open(options_.write);
    if (!w) return fail(w.error());
    writers_ = *std::move(w);
    MR_TRY(join());
    MR_TRY(find_peak());
    MR_TRY(last_long());
    return end();
  }

 private:
  result<void> join() {
    std::vector<std::pair<std::string, bool>> topics = {{options_.write.topic, false}};
    for (const std::string& topic : options_.mapped) topics.emplace_back(topic, true);
    for (const std::string& topic : options_.counted) topics.emplace_back(topic, false);
    for (size_t i = 0; i < topics.size(); ++i) {
      const size_t members =
          options_.consumers * (i + 1) / topics.size() - options_.consumers * i / topics.size();
      auto of = readers::open(options_.write.to, topics[i].first, static_cast<uint32_t>(members));
      if (!of) return fail(of.error());
      groups_.push_back({*std::move(of), topics[i].second, i > 0});
    }
    return wait_for("the groups did not settle", [](const group& g) { return g.of->has_all(); });
  }

  template <class F>
  result<void> wait_for(const char* what, F&& holds) {
    for (const int64_t give_up = tools::now_ns() + patience_ns; !std::ranges::all_of(groups_, holds);) {
      if (tools::now_ns() > give_up) return fail(errc::request_timed_out, "{}", what);
      std::this_thread::sleep_for(10ms);
    }
    return {};
  }

  uint64_t expected(const group& g) const {
    return g.is_mapped ? writers_->passing() : writers_->acknowledged();
  }
  result<void> wait_for_all() {
    return wait_for("not all records were read",
                    [this](const group& g) { return g.of->records() >= expected(g); });
  }

  // The rate at which all is not only acknowledged but processed and read.
  result<void> find_peak() {
    MR_TRY(writers_->run(options_.peak_seconds / 4, 0));  // connections, and what else is only done once
    MR_TRY(wait_for_all());
    const uint64_t before = writers_->acknowledged();
    const int64_t start = tools::now_ns();
    MR_TRY(writers_->run(options_.peak_seconds, 0));
    MR_TRY(wait_for_all());
    int64_t last = start;
    for (const group& g : groups_) last = std::max(last, g.of->last_ns());
    const double rate =
        static_cast<double>(writers_->acknowledged() - before) / tools::seconds_between(start, last);
    rate_ = static_cast<uint64_t>(rate * options_.share);
    print({{"phase", "peak"},
           {"records_per_second", rate},
           {"soak_records_per_second", rate_},
           {"client_cpu_seconds", tools::process_cpu_seconds()}});
    take();
    failures_ = {};
    return {};
  }

  result<void> last_long() {
    result<void> outcome;
    std::atomic<bool> is_over = false;
    std::thread writing([&] {
      outcome = writers_->run(options_.seconds, rate_);
      is_over = true;
    });
    const int64_t start = tools::now_ns();
    for (int i = 1; !is_over; ++i) {
      const int64_t due = start + static_cast<int64_t>(i * options_.every * 1e9);
      while (tools::now_ns() < due && !is_over) std::this_thread::sleep_for(20ms);
      if (tools::now_ns() >= due) report(tools::seconds_between(start, due));
    }
    writing.join();
    return outcome;
  }

  struct taken {
    sightings sent, read, derived;
  };
  taken take() {
    taken all;
    all.sent = writers_->seen().take();
    for (group& g : groups_) add(g.is_derived ? all.derived : all.read, g.of->seen().take());
    for (const sightings* part : {&all.sent, &all.read, &all.derived}) {
      failures_.failed += part->failed;
      if (failures_.first_failure.empty()) failures_.first_failure = part->first_failure;
    }
    return all;
  }

  void report(double at) {
    taken all = take();
    json line = {{"phase", "soak"},
                 {"at", at},
                 {"acknowledged", all.sent.records},
                 {"read", all.read.records},
                 {"derived", all.derived.records},
                 {"failed", failures_.failed}};
    put_latency(line, "ack", all.sent.latency);
    put_latency(line, "e2e", all.read.latency);
    put_latency(line, "derived", all.derived.latency);
    line["client_cpu_seconds"] = tools::process_cpu_seconds();
    print(line);
  }

  // True if every record was read once, derived ones included, and nothing failed.
  result<bool> end() {
    const bool came = wait_for_all().has_value();
    std::this_thread::sleep_for(2s);  // for what should not come
    take();
    json topics;
    bool is_exact = came;
    for (const group& g : groups_) {
      is_exact &= g.of->records() == expected(g);
      topics[g.of->topic()] = {{"expected", expected(g)}, {"read", g.of->records()}};
    }
    print({{"phase", "end"},
           {"topics", topics},
           {"exact", is_exact},
           {"failed", failures_.failed},
           {"first_failure", failures_.first_failure}});
    return is_exact && failures_.failed == 0;
  }

  options options_;
  std::unique_ptr<writers> writers_;
  std::vector<group> groups_;
  uint64_t rate_ = 0;
  sightings failures_;  // of the soak; its latencies stay empty
};

int main_of(int argc, char** argv) {
  CLI::App app("Many producers and consumers, at a share of the rate that they reach, for a long time.");
  options o;
  app.add_option("TOPIC", o.write.topic, "An existing topic")->required();
  app.add_option("-b,--bootstrap", o.write.to.bootstrap, "Brokers")->capture_default_str();
  app.add_option("--mapped", o.mapped, "Topics that a mapper makes of TOPIC");
  app.add_option("--counted", o.counted, "Topics that a counter makes of TOPIC");
  app.add_option("--passing", o.write.passing_temp, "Least \"temp\" that a mapper passes")
      ->capture_default_str();
  app.add_option("--producers", o.write.producers, "How many")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--consumers", o.consumers, "How many, of all topics")
      ->check(CLI::Range(4, 1000))
      ->capture_default_str();
  app.add_option("--size", o.write.record_bytes, "Bytes of a value")
      ->check(CLI::Range(100, 1'000'000))
      ->capture_default_str();
  app.add_option("--keys", o.write.keys, "Keys in each partition")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--peak-seconds", o.peak_seconds, "How long to look for the peak")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--share", o.share, "Share of the peak rate")
      ->check(CLI::Range(0.01, 1.0))
      ->capture_default_str();
  app.add_option("--seconds", o.seconds, "How long")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--every", o.every, "Seconds between two lines")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const result<bool> good = soak(std::move(o)).run();
  if (!good) {
    fmt::print(stderr, "soak_load: {}\n", to_string(good.error()));
    return 1;
  }
  return *good ? 0 : 1;
}

}  // namespace

}  // namespace millrace::perf

int main(int argc, char** argv) {
  return millrace::perf::main_of(argc, argv);
}
