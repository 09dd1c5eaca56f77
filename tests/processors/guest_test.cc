// Processors in processes of their own that behave badly there: what becomes of the record, of the others,
// and of the state. On a store over a simulated disk; the processes are real.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <unistd.h>

#include "tests/processors/guest_kit.h"
#include "tests/processors/host_bench.h"
#include "tests/processors/stateful_kit.h"

namespace millrace::processors {
namespace {

using namespace kit;
using namespace std::chrono_literals;

// Counts like counter, and ends its process when a record says so, after having changed and emitted
// something.
class mortal {
 public:
  explicit mortal(const millrace::setup& setup) : counter_(setup) {
    if (setup.option("unfit")) throw millrace::failure("not on this partition");
    if (setup.option("stillborn")) std::abort();
  }
  void process(const millrace::record& record, millrace::context& context) {
    counter_.process(record, context);
    const std::string_view what = record.value().value();
    if (what == "die") std::abort();
    if (what == "exit") ::_exit(7);
    if (what == "hang")
      for (volatile int n = 0;; n = n + 1) {
      }
    if (what == "hang up") {
      ::close(guest_life_fd);
      for (;;) ::usleep(1000);
    }
  }

 private:
  counter counter_;
};
struct mortal_traits {
  using type = mortal;
  static constexpr millrace::definition shape =
      millrace::define("mortal", "1").output("counts").store("counts").state_version(1);
};

const code_list& codes() {
  static const code_list all{code_of<mortal_traits>(), code_of<windows_traits>()};
  return all;
}

const std::vector<std::string> topics{"in", "in.counts", "p-counts-changelog", "p-meta-changelog", "dead"};

processor_spec spec(error_policy on_error, std::map<std::string, std::string> options = {}) {
  processor_spec s = spec_for(*codes()[0], "p", "in", std::move(options));
  s.isolated = isolation::process;
  s.on_error = on_error;
  if (on_error == error_policy::dead_letter) s.dead_letter = "dead";
  return s;
}

deployment alone(processor_spec s) {
  return deployment::assemble({std::move(s)}, {elsewhere(codes()[0])}).value();
}

class guest_test : public host_test {
 protected:
  // What comes of these records, each in a batch of its own or all in one.
  void expect_dead(const std::string& what, const std::string& cause, bool is_one_batch) {
    std::map<std::string, int64_t> state;
    const values before{"a", "b", "a"};
    const values behind{"b", "c"};
    values all = before;
    all.push_back(what);
    all.insert(all.end(), behind.begin(), behind.end());
    values out = counted(before, state);
    for (const std::string& line : counted(behind, state)) out.push_back(line);
    live(topics, alone(spec(error_policy::dead_letter)), [&](bench& b) -> task<void> {
      b.host->start();
      co_await settled(*b.host, *b.store);
      if (is_one_batch) {
        b.produce("in", all);
      } else {
        for (const std::string& value : all) b.produce("in", {value});
      }
      co_await settled(*b.host, *b.store);
      EXPECT_EQ(co_await all_of(b, "in.counts"), out);
      EXPECT_EQ(co_await fold(*b.store, id_of("p-counts-changelog", 0)), as_texts(state));
      EXPECT_EQ(b.status("p").counters.deaths, 3u);
      EXPECT_EQ(b.status("p").counters.records_dead, 1u);
      const values dead = co_await all_of(b, "dead");
      MR_ASSERT(dead.size() == 1);
      EXPECT_NE(dead[0].find(cause), std::string::npos) << dead[0];
      EXPECT_NE(dead[0].find("millrace.offset:3"), std::string::npos) << dead[0];
    });
    disk_ = std::make_shared<runtime::sim_disk>(1);
  }
};

TEST_F(guest_test, a_record_that_processes_die_of_goes_aside_and_all_others_are_processed) {
  expect_dead("die", "it crashed with SIGABRT, 3 times", true);
  expect_dead("die", "it crashed with SIGABRT, 3 times", false);
  expect_dead("exit", "it ended its process with exit code 7", true);
}

TEST_F(guest_test, a_process_that_does_not_return_is_killed) {
  host_.deadline = 500ms;
  expect_dead("hang", "did not return within processor.deadline.ms = 500", true);
  expect_dead("hang up", "its process hung up", true);
}

TEST_F(guest_test, with_pause_it_stops_before_the_record_and_the_state_is_what_it_was) {
  const deployment what = alone(spec(error_policy::pause));
  live(topics, what, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    b.produce("in", {"a", "a", "die", "a"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("p").state, flow_state::paused);
    EXPECT_EQ(b.status("p").cursor, 2);
    EXPECT_NE(b.status("p").why_paused.find("the record at offset 2 failed: it crashed with SIGABRT"),
              std::string::npos)
        << b.status("p").why_paused;
    // Another version meets the state as the record before has left it.
    deployed_processor next = deployment::prepare(spec(error_policy::skip), elsewhere(codes()[0])).value();
    co_await b.host->adopt(what.with(std::move(next)).value());
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), (values{"a:1", "a:2", "a:3"}));
  });
}

TEST_F(guest_test, what_create_refuses_pauses_it_with_the_reason) {
  live(topics, alone(spec(error_policy::skip, {{"unfit", "yes"}})), [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    b.produce("in", {"a"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("p").state, flow_state::paused);
    EXPECT_NE(b.status("p").why_paused.find("not on this partition"), std::string::npos)
        << b.status("p").why_paused;
  });
}

TEST_F(guest_test, a_process_that_dies_while_it_makes_an_instance_is_not_started_for_ever) {
  live(topics, alone(spec(error_policy::pause, {{"stillborn", "yes"}})), [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    b.produce("in", {"a"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("p").state, flow_state::paused);
    EXPECT_NE(b.status("p").why_paused.find("while making an instance"), std::string::npos)
        << b.status("p").why_paused;
    EXPECT_EQ(b.status("p").counters.deaths, 3u);
  });
}

TEST_F(guest_test, what_it_counts_is_told) {
  live(topics, alone(spec(error_policy::pause)), [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    b.produce("in", {"a", "b"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("p").metrics.at("processed"), 2);
  });
}

}  // namespace
}  // namespace millrace::processors

int main(int argc, char** argv) {
  return millrace::processors::kit::run_tests(argc, argv, millrace::processors::codes());
}
