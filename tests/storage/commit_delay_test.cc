// Commits that wait for company: there are fewer of them where requests come in bursts, and nobody else pays.
#include <deque>
#include <gtest/gtest.h>

#include "runtime/gate.h"
#include "runtime/sim/world.h"
#include "storage/wal/pacer.h"
#include "tests/storage/fixture.h"

namespace millrace::storage {
namespace {

using namespace std::chrono_literals;
using runtime::reactor;
using runtime::sim_world;
using runtime::task;

struct outcome {
  uint64_t commits = 0;
  uint64_t requests = 0;
  runtime::nanoseconds took{};
};

// A client that keeps a few requests on the way, each waiting for its own commit, and takes a moment to send
// one.
class client {
 public:
  client(shard_store& store, int on_the_way, runtime::nanoseconds pause, int name)
      : store_(store), room_(on_the_way), pause_(pause), name_(name) {}

  task<void> run(int requests) {
    for (int i = 0; i < requests; ++i) {
      while (room_ == 0) {
        answered_.reset();
        co_await answered_.wait();
      }
      // Each at a pace of its own, or they would soon march in step.
      if (pause_.count() > 0) co_await reactor::current().sleep(pause_ + name_ * (pause_ / 7));
      --room_;
      on_the_way_.spawn(request(i));
    }
    co_await on_the_way_.close();
  }

 private:
  task<void> request(int i) {
    const protocol::checked_batch batch = make_batch(fmt::format("{}-{}", name_, i), 1, 50);
    auto done = store_.append(*store_.find(make_spec(1).id), batch, append_origin::client);
    EXPECT_TRUE(done);
    if (!done) co_return;
    auto durable = co_await store_.wait_durable(done->durable_at);
    EXPECT_TRUE(durable);
    ++room_;
    if (!answered_.is_set()) answered_.set();
  }

  shard_store& store_;
  int room_;
  const runtime::nanoseconds pause_;
  const int name_;
  runtime::event answered_;
  runtime::gate on_the_way_;
};

struct crowd {
  int clients = 1;
  int on_the_way = 1;
  int requests = 1000;  // of each
  runtime::nanoseconds pause{};
};

task<void> measure(runtime::nanoseconds delay, crowd who, outcome& out) {
  store_options options = small_options("/data");
  options.commit_delay_max = delay;
  auto store = co_await shard_store::open(options, {make_spec(1)});
  EXPECT_TRUE(store);
  if (!store) co_return;
  const auto begun = reactor::current().now();
  std::deque<client> clients;
  runtime::gate all;
  for (int c = 0; c < who.clients; ++c)
    all.spawn(clients.emplace_back(**store, who.on_the_way, who.pause, c).run(who.requests));
  co_await all.close();
  out.took = reactor::current().now() - begun;
  out.commits = (*store)->stats().commits;
  out.requests = static_cast<uint64_t>(who.clients) * static_cast<uint64_t>(who.requests);
  EXPECT_EQ((*store)->find(make_spec(1).id)->high_watermark().value(), static_cast<int64_t>(out.requests));
  auto closed = co_await (*store)->close();
  EXPECT_TRUE(closed);
}

outcome run(runtime::nanoseconds delay, crowd who) {
  sim_world world(7, {.disk = std::make_shared<runtime::sim_disk>(7)});
  world.disk().put_directory("/data");
  outcome out;
  world.run(measure(delay, who, out));
  fmt::print("delay {} us, {} clients with {} on the way: {} requests in {} commits, {} us\n",
             delay.count() / 1000, who.clients, who.on_the_way, out.requests, out.commits,
             out.took.count() / 1000);
  return out;
}

// But for what the disk's luck does, which another order of work draws differently; a wait would double the
// time.
void expect_the_same(const outcome& one, const outcome& other) {
  EXPECT_NEAR(static_cast<double>(one.commits), static_cast<double>(other.commits),
              static_cast<double>(other.commits) / 100);
  EXPECT_NEAR(static_cast<double>(one.took.count()), static_cast<double>(other.took.count()),
              static_cast<double>(other.took.count()) / 20);
}

TEST(commit_delay, a_client_that_comes_now_and_then_waits_for_nothing) {
  const crowd one{.requests = 100, .pause = 5ms};
  const outcome without = run(0us, one);
  const outcome with = run(200us, one);
  expect_the_same(with, without);
}

TEST(commit_delay, a_client_with_one_request_at_a_time_waits_for_nothing) {
  const crowd one{.requests = 3000};
  const outcome without = run(0us, one);
  const outcome with = run(200us, one);
  expect_the_same(with, without);
}

TEST(commit_delay, a_client_with_several_on_the_way_has_them_in_fewer_commits) {
  const crowd one{.on_the_way = 5, .requests = 3000, .pause = 30us};
  const outcome without = run(0us, one);
  const outcome with = run(200us, one);
  EXPECT_LT(with.commits, without.commits * 3 / 4);
  EXPECT_LT(with.took.count(), without.took.count() * 5 / 4);
}

TEST(commit_delay, clients_at_moments_of_their_own_are_left_alone_after_a_try) {
  const crowd many{.clients = 6, .pause = 1500us};
  const outcome without = run(0us, many);
  const outcome with = run(200us, many);
  EXPECT_LT(with.took.count(), without.took.count() * 21 / 20);
}

// What it does is the pacer's; the writer only waits. So the rule itself is tried without a disk.
TEST(pacer, waits_for_as_many_as_were_seen_together) {
  wal::pacer p(200us);
  const auto round = [&](uint32_t waiting) {
    for (uint32_t i = 0; i < wal::pacer::round_commits; ++i) p.committed(waiting);
  };
  EXPECT_EQ(p.requests_wanted(), 0U);  // nothing is known yet
  round(1);
  EXPECT_EQ(p.requests_wanted(), 0U);
  round(4);
  EXPECT_EQ(p.requests_wanted(), 4U);
  round(100);
  EXPECT_EQ(p.requests_wanted(), wal::pacer::requests_enough);
  // What was seen two rounds ago is forgotten.
  round(2);
  round(2);
  EXPECT_EQ(p.requests_wanted(), 2U);
}

TEST(pacer, rests_longer_each_time_that_waiting_brings_nothing) {
  wal::pacer p(200us);
  // Rounds until it waits again.
  const auto rested = [&] {
    int rounds = 0;
    for (; p.requests_wanted() == 0; ++rounds)
      for (uint32_t i = 0; i < wal::pacer::round_commits; ++i) p.committed(3);
    return rounds;
  };
  const auto wait_in_vain = [&](uint32_t gained) {
    for (uint32_t i = 0; i < wal::pacer::round_commits; ++i) {
      p.waited(gained);
      p.committed(3);
    }
  };
  wait_in_vain(0);
  const int first = rested();
  EXPECT_GT(first, 0);
  wait_in_vain(0);
  EXPECT_EQ(rested(), 2 * first);
  // Company ends the doubt.
  wait_in_vain(2);
  EXPECT_EQ(p.requests_wanted(), 3U);
  wait_in_vain(0);
  EXPECT_EQ(rested(), first);
}

TEST(pacer, never_waits_when_told_so) {
  wal::pacer p(0us);
  for (int i = 0; i < 10'000; ++i) p.committed(5);
  EXPECT_EQ(p.requests_wanted(), 0U);
}

}  // namespace
}  // namespace millrace::storage
