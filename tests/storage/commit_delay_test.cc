// The commit delay: it makes many small commits fewer, and costs nobody anything otherwise.
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

task<void> client(shard_store& store, int requests, runtime::nanoseconds pause, int name) {
  for (int i = 0; i < requests; ++i) {
    const protocol::checked_batch batch = make_batch(fmt::format("{}-{}", name, i), 1, 50);
    auto done = store.append(*store.find(make_spec(1).id), batch, append_origin::client);
    EXPECT_TRUE(done);
    if (!done) co_return;
    auto durable = co_await store.wait_durable(done->durable_at);
    EXPECT_TRUE(durable);
    // Each at a pace of its own, or they would soon march in step.
    if (pause.count() > 0) co_await reactor::current().sleep(pause + name * (pause / 7));
  }
}

task<void> measure(runtime::nanoseconds delay, int clients, int requests, runtime::nanoseconds pause,
                   outcome& out) {
  store_options options = small_options("/data");
  options.commit_delay_max = delay;
  auto store = co_await shard_store::open(options, {make_spec(1)});
  EXPECT_TRUE(store);
  if (!store) co_return;
  const auto begun = reactor::current().now();
  runtime::gate all;
  for (int c = 0; c < clients; ++c) all.spawn(client(**store, requests, pause, c));
  co_await all.close();
  out.took = reactor::current().now() - begun;
  out.commits = (*store)->stats().commits;
  out.requests = static_cast<uint64_t>(clients) * static_cast<uint64_t>(requests);
  EXPECT_EQ((*store)->find(make_spec(1).id)->high_watermark().value(), static_cast<int64_t>(out.requests));
  auto closed = co_await (*store)->close();
  EXPECT_TRUE(closed);
}

outcome run(runtime::nanoseconds delay, int clients, int requests, runtime::nanoseconds pause) {
  sim_world world(7, {.disk = std::make_shared<runtime::sim_disk>(7)});
  world.disk().put_directory("/data");
  outcome out;
  world.run(measure(delay, clients, requests, pause, out));
  fmt::print("delay {} us, {} clients: {} requests in {} commits, {} us\n", delay.count() / 1000, clients,
             out.requests, out.commits, out.took.count() / 1000);
  return out;
}

TEST(commit_delay, a_client_that_comes_now_and_then_waits_for_nothing) {
  const outcome without = run(0us, 1, 100, 5ms);
  const outcome with = run(500us, 1, 100, 5ms);
  EXPECT_EQ(with.commits, without.commits);
  EXPECT_EQ(with.took, without.took);
}

TEST(commit_delay, a_single_busy_client_is_left_alone_after_a_try) {
  const outcome without = run(0us, 1, 3000, 0us);
  const outcome with = run(500us, 1, 3000, 0us);
  EXPECT_LT(with.took.count(), without.took.count() * 5 / 4);
}

TEST(commit_delay, many_small_commits_become_fewer) {
  const outcome without = run(0us, 6, 1000, 300us);
  const outcome with = run(500us, 6, 1000, 300us);
  EXPECT_LT(with.commits, without.commits * 3 / 4);
}

// What it does is the pacer's; the writer only waits. So the rule itself is tried without a disk.
TEST(pacer, waits_only_while_commits_are_many_and_small_and_waiting_pays) {
  wal::pacer p(500us);
  runtime::time_point now{};
  const auto commit_for = [&](runtime::nanoseconds span, runtime::nanoseconds each, uint32_t requests) {
    for (const auto end = now + span; now < end;) {
      now += each;
      p.committed(now, requests);
    }
  };
  commit_for(200ms, 1ms, 1);  // few
  EXPECT_EQ(p.delay_for(1).count(), 0);
  commit_for(200ms, 100us, 5);  // many, but large
  EXPECT_EQ(p.delay_for(1).count(), 0);
  commit_for(200ms, 100us, 2);  // many and small
  EXPECT_EQ(p.delay_for(1), 500us);
  EXPECT_EQ(p.delay_for(4).count(), 0);
  // Waits that bring company go on, although commits are fewer now.
  for (int i = 0; i < 1000; ++i) {
    p.waited(2);
    now += 600us;
    p.committed(now, 4);
  }
  EXPECT_EQ(p.delay_for(1), 500us);
  // Waits that bring none end, and do not begin again at once.
  for (int i = 0; i < 200; ++i) {
    p.waited(0);
    now += 600us;
    p.committed(now, 1);
  }
  EXPECT_EQ(p.delay_for(1).count(), 0);
  commit_for(200ms, 100us, 1);
  EXPECT_EQ(p.delay_for(1).count(), 0);
  commit_for(1s, 100us, 1);
  EXPECT_EQ(p.delay_for(1), 500us);
}

TEST(pacer, never_waits_when_told_so) {
  wal::pacer p(0us);
  runtime::time_point now{};
  for (int i = 0; i < 10'000; ++i) p.committed(now += 100us, 1);
  EXPECT_EQ(p.delay_for(1).count(), 0);
}

}  // namespace
}  // namespace millrace::storage
