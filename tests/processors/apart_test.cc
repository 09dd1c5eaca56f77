// Flows whose calls do not run on their shard: who goes, who comes back, and that nothing of it shows in what
// is derived. On a store over a simulated disk; the thread itself on real shards.
#include <chrono>
#include <thread>

#include "runtime/shards.h"
#include "tests/processors/host_bench.h"
#include "tests/processors/stateful_kit.h"

namespace millrace::processors {
namespace {

using namespace kit;
using namespace std::chrono_literals;

// Takes as many milliseconds for a record as it says, and passes it on.
class sleeper {
 public:
  explicit sleeper(const millrace::setup& setup) : out_(setup.output("out")) {}
  void process(const millrace::record& record, millrace::context& context) {
    std::this_thread::sleep_for(std::chrono::milliseconds(std::stoll(std::string(record.value().value()))));
    context.emit(out_, record);
  }

 private:
  millrace::output out_;
};
struct sleeper_traits {
  using type = sleeper;
  static constexpr millrace::definition shape = millrace::define("sleeper", "1").output("out");
};

deployment alone(std::shared_ptr<const plugin> code, isolation isolated = isolation::none) {
  processor_spec spec = spec_for(*code, "p", "in");
  spec.isolated = isolated;
  return deployment::assemble({spec}, {code}).value();
}

class apart_test : public host_test {
 protected:
  apart_test() {
    host_.batch_budget = 2ms;
    host_.overruns_max = 3;
  }
};

TEST_F(apart_test, overruns_count_and_then_the_flow_goes_on_a_thread_and_comes_back) {
  live({"in", "in.out"}, alone(code_of<sleeper_traits>()), [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    values all;
    for (int i = 0; i < 3; ++i) {
      EXPECT_FALSE(b.status("p").is_apart);
      b.produce("in", {"4"});
      all.emplace_back("4");
      EXPECT_EQ(b.status("p").lag, 0) << "the result of an overrunning call is kept";
    }
    EXPECT_TRUE(b.status("p").is_apart);
    EXPECT_EQ(b.status("p").counters.stalls, 3u);
    b.produce("in", {"0"});
    all.emplace_back("0");
    EXPECT_EQ(b.status("p").lag, 1) << "the input does not wait for it";
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("p").counters.apart_calls, 1u);
    EXPECT_TRUE(b.status("p").is_apart);
    co_await runtime::reactor::current().sleep(11s);
    b.produce("in", {"0"});
    co_await settled(*b.host, *b.store);
    EXPECT_FALSE(b.status("p").is_apart);
    b.produce("in", {"0"});
    EXPECT_EQ(b.status("p").lag, 0);
    all.insert(all.end(), {"0", "0"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.out"), all);
  });
}

TEST_F(apart_test, a_flow_that_the_last_broker_was_killed_in_starts_on_a_thread_and_comes_back) {
  deployment first = alone(code_of<sleeper_traits>());
  deployed_processor suspected = *first.processors()[0];
  suspected.suspicions.push_back({"p", "", "in", 0, 1, 1});
  live({"in", "in.out"}, first.with(std::move(suspected)).value(), [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_TRUE(b.status("p").is_apart);
    b.produce("in", {"0", "0"});
    EXPECT_EQ(b.status("p").lag, 2) << "the input is durable before it is called";
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("p").counters.apart_calls, 1u);
    co_await runtime::reactor::current().sleep(11s);
    b.produce("in", {"0"});
    co_await settled(*b.host, *b.store);
    b.produce("in", {"0"});
    EXPECT_EQ(b.status("p").lag, 0);
    EXPECT_FALSE(b.status("p").is_apart);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.out"), (values{"0", "0", "0", "0"}));
  });
}

TEST_F(apart_test, what_a_broker_was_killed_in_twice_is_called_for_one_by_one) {
  deployment first = alone(code_of<sleeper_traits>());
  live({"in", "in.out"}, deployment(), [&](bench& b) -> task<void> {
    b.produce("in", {"0", "0", "0"});
    co_await settled(*b.host, *b.store);
    deployed_processor suspected = *first.processors()[0];
    suspected.suspicions.push_back({"p", "", "in", 0, 0, 2});
    b.host->start();
    co_await b.host->adopt(first.with(std::move(suspected)).value());
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("p").counters.apart_calls, 3u);
    b.produce("in", {"0", "0"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("p").counters.apart_calls, 4u);
    EXPECT_EQ(co_await all_of(b, "in.out"), (values{"0", "0", "0", "0", "0"}));
  });
}

TEST_F(apart_test, small_batches_share_a_call) {
  live({"in", "in.out"}, deployment(), [&](bench& b) -> task<void> {
    values all;
    for (int i = 0; i < 100; ++i) {
      b.produce("in", {"0", "00"});
      all.insert(all.end(), {"0", "00"});
    }
    co_await settled(*b.host, *b.store);
    b.host->start();
    co_await b.host->adopt(alone(code_of<sleeper_traits>(), isolation::thread));
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("p").counters.apart_calls, 1u);
    EXPECT_EQ(b.status("p").counters.records_in, 200u);
    EXPECT_EQ(co_await all_of(b, "in.out"), all);
  });
}

TEST_F(apart_test, what_does_not_fit_the_turn_lags) {
  host_.batch_budget = 1h;
  host_.turn_budget = 3ms;
  live({"in", "in.out"}, alone(code_of<sleeper_traits>()), [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    b.produce("in", {"5"});
    b.produce("in", {"0"});
    EXPECT_EQ(b.status("p").lag, 1);
    co_await settled(*b.host, *b.store);
    EXPECT_FALSE(b.status("p").is_apart);
    EXPECT_EQ(co_await all_of(b, "in.out"), (values{"5", "0"}));
  });
}

TEST_F(apart_test, a_large_batch_is_processed_on_the_thread_and_the_next_one_inline) {
  live({"in", "in.out"}, alone(code_of<sleeper_traits>()), [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    const values large{"0" + std::string(shard_host::inline_bytes_max, ' ')};
    b.produce("in", large);
    EXPECT_EQ(b.status("p").lag, 1);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("p").counters.apart_calls, 1u);
    b.produce("in", {"0"});
    EXPECT_EQ(b.status("p").lag, 0);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.out"), (values{large[0], "0"}));
  });
}

TEST_F(apart_test, what_is_under_way_when_the_flow_ends_does_not_count) {
  const deployment first = alone(code_of<counter_traits>(), isolation::thread);
  std::map<std::string, int64_t> state;
  values out;
  live({"in", "in.counts", "p-counts-changelog", "p-meta-changelog"}, first, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    deployment now = first;
    for (int round = 0; round < 100; ++round) {
      const values input{"a", "b", "k" + std::to_string(round % 7), "b=forget"};
      b.produce("in", input);
      for (const std::string& line : counted(input, state)) out.push_back(line);
      co_await runtime::reactor::current().sleep(std::chrono::microseconds(round * 7));
      deployed_processor next = *now.processors()[0];
      next.is_held = round % 2 == 0;
      now = now.with(std::move(next)).value();
      co_await b.host->adopt(now);
    }
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    EXPECT_EQ(co_await fold(*b.store, id_of("p-counts-changelog", 0)), as_texts(state));
    EXPECT_EQ(b.status("p").counters.inline_calls, 0u);
  });
}

TEST_F(apart_test, a_failed_record_pauses_it_as_it_would_inline) {
  const auto code = code_of<sorter_traits>();
  processor_spec spec = spec_for(*code, "p", "in", {{"poison", "4"}});
  spec.isolated = isolation::thread;
  live({"in", "in.threes", "in.rest"}, deployment::assemble({spec}, {code}).value(),
       [&](bench& b) -> task<void> {
         b.host->start();
         co_await settled(*b.host, *b.store);
         b.produce("in", {"1", "3", "4", "5"});
         co_await settled(*b.host, *b.store);
         EXPECT_EQ(b.status("p").state, flow_state::paused);
         EXPECT_EQ(b.status("p").cursor, 2);
         EXPECT_EQ(co_await all_of(b, "in.rest"), values{"1"});
       });
}

task<void> use_thread(std::vector<std::thread::id>& ran_on, std::vector<std::thread::id>& came_back_on) {
  processor_thread thread("p", true, nullptr, 1s);
  for (int i = 0; i < 100; ++i) {
    auto note = [&ran_on] { ran_on.push_back(std::this_thread::get_id()); };
    co_await thread.run(std::move(note));
    came_back_on.push_back(std::this_thread::get_id());
  }
}

TEST(processor_thread_test, calls_run_there_and_their_callers_go_on_at_home) {
  auto shards = runtime::shards::start({.count = 2, .io = runtime::backend_choice::epoll});
  ASSERT_TRUE(shards);
  std::vector<std::thread::id> ran_on;
  std::vector<std::thread::id> came_back_on;
  (*shards)->run<void>([&] { return use_thread(ran_on, came_back_on); }, shard_id(1));
  (*shards)->stop();
  ASSERT_EQ(ran_on.size(), 100u);
  for (const auto id : ran_on) EXPECT_EQ(id, ran_on[0]);
  for (const auto id : came_back_on) EXPECT_EQ(id, came_back_on[0]);
  EXPECT_NE(ran_on[0], came_back_on[0]);
  EXPECT_NE(ran_on[0], std::this_thread::get_id());
}

}  // namespace
}  // namespace millrace::processors
