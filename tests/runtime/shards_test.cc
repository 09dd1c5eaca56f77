// Calls between shards on real threads. Meant to be run under the thread sanitizer as well.
#include "runtime/shards.h"

#include <atomic>
#include <vector>

#include "runtime/gate.h"
#include "tests/runtime/fixture.h"

namespace millrace::runtime {
namespace {

using namespace std::chrono_literals;

class shards_on : public testing::TestWithParam<backend_choice> {
 protected:
  void SetUp() override {
    if (GetParam() == backend_choice::uring && !why_not_uring().empty()) GTEST_SKIP() << why_not_uring();
    auto started = shards::start({.count = 3, .io = GetParam()});
    ASSERT_TRUE(started) << started.error().message;
    group_ = std::move(*started);
  }
  std::unique_ptr<shards> group_;
};
MILLRACE_ON_EACH_BACKEND(shards_on);

task<uint32_t> where() {
  co_return reactor::current().id().value();
}

task<uint32_t> slow_where() {
  co_await reactor::current().sleep(1ms);
  co_return reactor::current().id().value();
}

task<void> call_around() {
  for (uint32_t i = 0; i < shard_count(); ++i) {
    const uint32_t direct = co_await call_on(shard_id(i), [] { return reactor::current().id().value(); });
    EXPECT_EQ(direct, i);
    const uint32_t quick = co_await call_on(shard_id(i), [] { return where(); });
    EXPECT_EQ(quick, i);
    const uint32_t slow = co_await call_on(shard_id(i), [] { return slow_where(); });
    EXPECT_EQ(slow, i);
    EXPECT_EQ(reactor::current().id(), shard_id(0)) << "the answer comes back to the caller's shard";
  }
}

TEST_P(shards_on, calls_run_there_and_answer_here) {
  group_->run<void>([] { return call_around(); });
}

// A counter per shard without any lock: only its owner touches it.
struct counters {
  uint64_t value[3] = {};
};

task<void> hammer(counters& c, uint64_t seed, int calls) {
  prng random(seed);
  for (int i = 0; i < calls; ++i) {
    const auto to = static_cast<uint32_t>(random.below(3));
    auto count_up = [&c, to] { return ++c.value[to]; };
    const uint64_t seen = co_await call_on(shard_id(to), count_up);
    EXPECT_GT(seen, 0U);
  }
}

task<void> hammer_from_here(counters& c, int callers, int calls) {
  gate work;
  for (int i = 0; i < callers; ++i) work.spawn(hammer(c, reactor::current().id().value() * 100 + i, calls));
  co_await work.close();
}

task<void> hammer_from_everywhere(counters& c) {
  co_await on_every_shard([&c](shard_id) { return hammer_from_here(c, 20, 200); });
}

TEST_P(shards_on, owned_state_needs_no_lock) {
  counters c;
  group_->run<void>([&c] { return hammer_from_everywhere(c); });
  EXPECT_EQ(c.value[0] + c.value[1] + c.value[2], 3U * 20 * 200);
}

task<void> note_order(std::vector<int>& into, gate& work) {
  struct one {
    static task<void> send(std::vector<int>& into, int i) {
      auto append = [&into, i] { into.push_back(i); };
      co_await call_on(shard_id(1), append);
    }
  };
  for (int i = 0; i < 1000; ++i) work.spawn(one::send(into, i));
  co_await work.close();
}

task<std::vector<int>> ordered() {
  std::vector<int> seen;
  gate work;
  co_await note_order(seen, work);
  co_return std::move(seen);
}

TEST_P(shards_on, calls_to_one_shard_start_in_order) {
  const std::vector<int> seen = group_->run<std::vector<int>>([] { return ordered(); });
  ASSERT_EQ(seen.size(), 1000U);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(seen[i], i);
}

TEST_P(shards_on, any_thread_may_post) {
  std::atomic<int> ran{0};
  for (int i = 0; i < 100; ++i) group_->post(shard_id(i % 3), [&ran] { ++ran; });
  while (ran.load() < 100) std::this_thread::yield();
  group_->stop();
  EXPECT_EQ(ran.load(), 100);
}

TEST_P(shards_on, values_of_tasks_come_out_of_run) {
  EXPECT_EQ(group_->run<uint32_t>([] { return slow_where(); }, shard_id(2)), 2U);
  EXPECT_EQ(group_->backend_name(), GetParam() == backend_choice::uring ? "io_uring" : "epoll");
}

}  // namespace
}  // namespace millrace::runtime
