// Processors that are replaced, paused, resumed and removed while records come, on a store over a simulated
// disk: what is derived equals what an undisturbed run would derive.
#include "tests/processors/host_bench.h"
#include "tests/processors/stateful_kit.h"

namespace millrace::processors {
namespace {

using namespace kit;

const std::vector<std::string> counter_topics{"in", "in.counts", "c-counts-changelog", "c-meta-changelog"};

deployed_processor counter(std::map<std::string, std::string> options = {}) {
  const auto code = code_of<counter_traits>();
  return deployment::prepare(spec_for(*code, "c", "in", std::move(options)), code).value();
}

deployed_processor counter_of_next_version() {
  const auto code = code_of<counter_of_next_version_traits>();
  return deployment::prepare(spec_for(*code, "c", "in"), code).value();
}

deployment alone(deployed_processor p) {
  return deployment().with(std::move(p)).value();
}

deployed_processor held(deployed_processor p) {
  p.is_held = true;
  return p;
}

class adopt_test : public host_test {
 protected:
  adopt_test() {
    host_.state_directory = "/data/state";
    host_.snapshot_after_bytes = 200;  // often, so that they are under way when a flow ends
  }
};

TEST_F(adopt_test, another_version_goes_on_where_the_first_one_stood_with_its_state) {
  const deployment first = alone(counter());
  std::map<std::string, int64_t> state;
  values out;
  live(counter_topics, first, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    deployment now = first;
    for (int round = 0; round < 20; ++round) {
      const values input{"a", "b", "a", "k" + std::to_string(round), "b=forget"};
      b.produce("in", input);
      for (const std::string& line : counted(input, state)) out.push_back(line);
      now = now.with(counter()).value();
      co_await b.host->adopt(now);
      EXPECT_EQ(b.status("c").state, flow_state::running);
      EXPECT_EQ(b.status("c").cursor, 5 * (round + 1));
    }
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    EXPECT_EQ(b.status("c").counters.records_restored, 0u);  // the state never left memory
    EXPECT_EQ(b.status("c").counters.records_in, 100u);
  });
  live(counter_topics, alone(counter()), [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    EXPECT_EQ(co_await fold(*b.store, id_of("c-counts-changelog", 0)), as_texts(state));
  });
}

TEST_F(adopt_test, a_version_with_other_state_pauses_and_the_first_one_comes_back) {
  const deployment first = alone(counter());
  std::map<std::string, int64_t> state;
  live(counter_topics, first, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    const values input{"a", "b", "a"};
    values out = counted(input, state);
    b.produce("in", input);
    co_await b.host->adopt(first.with(counter_of_next_version()).value());
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("c").state, flow_state::paused);
    EXPECT_NE(b.status("c").why_paused.find("version"), std::string::npos) << b.status("c").why_paused;
    b.produce("in", input);
    co_await b.host->adopt(first.with(counter()).value());
    co_await settled(*b.host, *b.store);
    for (const std::string& line : counted(input, state)) out.push_back(line);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
  });
}

TEST_F(adopt_test, a_failed_record_is_tried_again_by_the_next_version) {
  const auto code = code_of<sorter_traits>();
  const auto sorter = [&](const char* poison) {
    return deployment::prepare(spec_for(*code, "sorter", "in", {{"poison", poison}}), code).value();
  };
  const deployment first = alone(sorter("4"));
  live({"in", "in.threes", "in.rest"}, first, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    const values input{"1", "2", "3", "4", "5", "6"};
    b.produce("in", input);
    EXPECT_EQ(b.status("sorter").state, flow_state::paused);
    EXPECT_EQ(b.status("sorter").cursor, 3);
    // The same again meets the same record again.
    co_await b.host->adopt(first.with(sorter("4")).value());
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("sorter").state, flow_state::paused);
    EXPECT_EQ(b.status("sorter").cursor, 3);
    co_await b.host->adopt(first.with(sorter("99")).value());
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.rest"), expected_of("in.rest", input));
    EXPECT_EQ(co_await all_of(b, "in.threes"), expected_of("in.threes", input));
  });
}

TEST_F(adopt_test, what_is_held_waits_and_then_catches_up) {
  const deployment first = alone(counter());
  std::map<std::string, int64_t> state;
  values out;
  const values input{"a", "b", "a"};
  live(counter_topics, first, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    b.produce("in", input);
    const deployment holding = first.with(held(counter())).value();
    co_await b.host->adopt(holding);
    EXPECT_EQ(b.status("c").state, flow_state::paused);
    b.produce("in", input);
    b.produce("in", input);
    EXPECT_EQ(b.status("c").cursor, 3);
    EXPECT_EQ(b.status("c").lag, 6);
    co_await b.host->adopt(first);
    co_await settled(*b.host, *b.store);
    for (int i = 0; i < 3; ++i)
      for (const std::string& line : counted(input, state)) out.push_back(line);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    EXPECT_EQ(b.status("c").counters.records_restored, 0u);
  });
  // Held from the start: the state is read when it is let go.
  live(counter_topics, alone(held(counter())), [&](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", input);
    for (const std::string& line : counted(input, state)) out.push_back(line);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("c").state, flow_state::paused);
    EXPECT_EQ(b.status("c").cursor, 9);
    co_await b.host->adopt(first);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
  });
}

TEST_F(adopt_test, what_is_removed_ends_and_its_position_stays_until_it_is_forgotten) {
  const deployment first = alone(counter());
  std::map<std::string, int64_t> state;
  const values input{"a", "b", "a"};
  values out = counted(input, state);
  live(counter_topics, first, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    b.produce("in", input);
    co_await b.host->adopt({});
    EXPECT_TRUE(b.host->status().empty());
    b.produce("in", input);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    co_await b.host->adopt(first);
    co_await settled(*b.host, *b.store);
    for (const std::string& line : counted(input, state)) out.push_back(line);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);

    co_await b.host->adopt({});
    co_await b.host->forget("c");
    EXPECT_TRUE(b.store->cursors().empty());
  });
  // What was forgotten stays so: the changelogs without a position are of no use.
  live(counter_topics, first, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("c").state, flow_state::paused);
    EXPECT_NE(b.status("c").why_paused.find("which is new"), std::string::npos);
  });
}

TEST_F(adopt_test, an_added_processor_begins_with_what_is_there) {
  const auto code = code_of<sorter_traits>();
  live({"in", "in.threes", "in.rest", "in.counts", "c-counts-changelog", "c-meta-changelog"},
       alone(counter()), [&](bench& b) -> task<void> {
         b.host->start();
         co_await settled(*b.host, *b.store);
         const values input{"1", "2", "3"};
         b.produce("in", input);
         const auto sorter = deployment::prepare(spec_for(*code, "sorter", "in"), code).value();
         co_await b.host->adopt(alone(counter()).with(sorter).value());
         co_await settled(*b.host, *b.store);
         b.produce("in", {"4", "9"});
         EXPECT_EQ(co_await all_of(b, "in.rest"), expected_of("in.rest", input));
         co_await settled(*b.host, *b.store);
         EXPECT_EQ(co_await all_of(b, "in.threes"), expected_of("in.threes", {"1", "2", "3", "4", "9"}));
       });
}

}  // namespace
}  // namespace millrace::processors
