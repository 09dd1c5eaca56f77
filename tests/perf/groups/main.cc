// group_bench: what a group coordinator bears. Many members of one group, or many groups of a few members.
//
//   group_bench HOST PORT TOPIC PARTITIONS --groups N --members N [--seconds N] [--prefix NAME]
//
// Prints one JSON object: how long until every member had its assignment, how long the rebalance took that
// one more member causes (in the first group), and how many commits a second are answered with one of each
// member in flight. HOST is a numeric address. Members beat every half second, which is when they hear of a
// rebalance.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fmt/format.h>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "tests/perf/groups/member.h"
#include "tools/bench/clock.h"

namespace millrace::perf {

namespace {

constexpr int64_t beat_ns = 500'000'000;
constexpr int64_t patience_ns = 300'000'000'000;

struct options {
  group_place place;
  int groups = 1;
  int members = 1;
  double seconds = 5;
  std::string prefix = "bench";
};

class crowd {
 public:
  explicit crowd(const options& o) : options_(o), epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

  member& add(int group) {
    const auto number = static_cast<int32_t>(members_.size());
    members_.push_back(std::make_unique<member>(options_.place, fmt::format("{}-{}", options_.prefix, group),
                                                number % options_.place.partitions));
    members_.back()->connect();
    epoll_event wanted{.events = EPOLLIN, .data = {.u64 = members_.size() - 1}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, members_.back()->descriptor(), &wanted);
    return *members_.back();
  }

  // Serves everybody once; idle members beat when it is time, or commit if they are to.
  void turn(bool commits) {
    epoll_event events[256];
    const int count = epoll_wait(epoll_, events, 256, 5);
    for (int i = 0; i < count; ++i) {
      member& m = *members_[events[i].data.u64];
      m.on_readable();
      if (commits && m.is_stable() && m.now() == doing::nothing) m.commit();
    }
    const int64_t now = tools::now_ns();
    if (now < next_round_ns_) return;
    next_round_ns_ = now + beat_ns / 20;
    for (const auto& m : members_) {
      if (m->now() == doing::nothing && m->is_stable() && now - m->last_sent_ns() > beat_ns) m->beat();
    }
  }

  bool is_stable() const {
    return std::ranges::all_of(members_, [](const auto& m) { return m->is_stable(); });
  }
  int64_t last_change_ns() const {
    int64_t last = 0;
    for (const auto& m : members_) last = std::max(last, m->stable_since_ns());
    return last;
  }

  // Until all are stable and stay so for three beats; the moment when they had become so.
  int64_t settle() {
    const int64_t give_up = tools::now_ns() + patience_ns;
    while (!is_stable() || tools::now_ns() - last_change_ns() < 3 * beat_ns) {
      turn(false);
      if (tools::now_ns() > give_up) throw std::runtime_error("no stable assignment in five minutes");
    }
    return last_change_ns();
  }

  const std::vector<std::unique_ptr<member>>& members() const { return members_; }

 private:
  const options& options_;
  int epoll_;
  int64_t next_round_ns_ = 0;
  std::vector<std::unique_ptr<member>> members_;
};

double ms(int64_t ns) {
  return static_cast<double>(ns) / 1e6;
}

void run(const options& o) {
  crowd all(o);
  for (int g = 0; g < o.groups; ++g) {
    for (int m = 0; m < o.members; ++m) all.add(g);
  }
  const int64_t began = tools::now_ns();
  for (const auto& m : all.members()) m->join();
  const int64_t stable_ns = all.settle() - began;

  const int64_t newcomer = tools::now_ns();
  all.add(0).join();
  const int64_t rebalance_ns = all.settle() - newcomer;

  for (const auto& m : all.members()) {
    if (m->now() == doing::nothing) m->commit();
  }
  const auto length_ns = static_cast<int64_t>(o.seconds * 1e9);
  const int64_t warm = tools::now_ns() + length_ns / 5;
  while (tools::now_ns() < warm) all.turn(true);
  uint64_t before = 0, after = 0;
  for (const auto& m : all.members()) {
    before += m->commits();
    m->commit_ns().clear();
  }
  const int64_t from = tools::now_ns();
  while (tools::now_ns() - from < length_ns) all.turn(true);
  const double took = static_cast<double>(tools::now_ns() - from) / 1e9;
  std::vector<int64_t> latencies;
  for (const auto& m : all.members()) {
    after += m->commits();
    latencies.insert(latencies.end(), m->commit_ns().begin(), m->commit_ns().end());
  }
  if (latencies.empty()) throw std::runtime_error("no commit was answered");
  std::ranges::sort(latencies);
  const auto at = [&](double q) {
    return ms(latencies[static_cast<size_t>(q * static_cast<double>(latencies.size() - 1))]);
  };
  fmt::print(
      "{{\"members\": {}, \"groups\": {}, \"stable_ms\": {:.1f}, \"rebalance_ms\": {:.1f}, "
      "\"commits_per_second\": {:.1f}, \"commits\": {}, \"commit_p50\": {:.3f}, \"commit_p99\": {:.3f}, "
      "\"client_cpu_seconds\": {:.3f}}}\n",
      all.members().size(), o.groups, ms(stable_ns), ms(rebalance_ns),
      static_cast<double>(after - before) / took, after - before, at(0.5), at(0.99),
      tools::process_cpu_seconds());
  std::fflush(stdout);
  // The members stay until the reader has measured the broker: it closes our standard input.
  while (std::getchar() != EOF) {
  }
}

options parse(int argc, char** argv) {
  if (argc < 5)
    throw std::runtime_error("usage: group_bench HOST PORT TOPIC PARTITIONS [--groups N] [--members N] …");
  options o;
  o.place.address = argv[1];
  o.place.port = static_cast<uint16_t>(atoi(argv[2]));
  o.place.topic = argv[3];
  o.place.partitions = std::max(1, atoi(argv[4]));
  for (int i = 5; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--groups") {
      o.groups = std::max(1, atoi(argv[i + 1]));
    } else if (name == "--members") {
      o.members = std::max(1, atoi(argv[i + 1]));
    } else if (name == "--seconds") {
      o.seconds = atof(argv[i + 1]);
    } else if (name == "--prefix") {
      o.prefix = argv[i + 1];
    } else {
      throw std::runtime_error(fmt::format("unknown option {}", name));
    }
  }
  return o;
}

}  // namespace

}  // namespace millrace::perf

int main(int argc, char** argv) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  try {
    millrace::perf::run(millrace::perf::parse(argc, argv));
  } catch (const std::exception& wrong) {
    fmt::print(stderr, "group_bench: {}\n", wrong.what());
    return 1;
  }
  return 0;
}
