// A new version beside the old one: where it begins, what it is compared with, and that nothing of the old
// one changes.
#include "tests/processors/guest_kit.h"
#include "tests/processors/host_bench.h"
#include "tests/processors/stateful_kit.h"

namespace millrace::processors {
namespace {

using namespace kit;

const std::vector<std::string> topics{"in",
                                      "in.counts",
                                      "c-counts-changelog",
                                      "c-meta-changelog",
                                      "in.counts.shadow",
                                      "c.shadow-counts-changelog",
                                      "c.shadow-meta-changelog"};

const code_list& codes() {
  static const code_list all{code_of<counter_traits>(), code_of<hash_counter_traits>()};
  return all;
}

template <class Traits>
deployed_processor live_counter(std::map<std::string, std::string> options = {}) {
  const auto code = code_of<Traits>();
  return deployment::prepare(spec_for(*code, "c", "in", std::move(options)), code).value();
}

template <class Traits>
deployed_processor shadow_counter(uint64_t state_bytes_max = 1 << 20) {
  const auto code = code_of<Traits>();
  processor_spec spec = spec_for(*code, "c.shadow", "in");
  spec.outputs["counts"] += ".shadow";
  spec.stands_for = "c";
  spec.is_shadow = true;
  spec.state_bytes_max = state_bytes_max;
  return deployment::prepare(spec, code).value();
}

deployment alone(deployed_processor p) {
  return deployment().with(std::move(p)).value();
}

deployed_processor as(isolation how, deployed_processor p) {
  p.spec.isolated = how;
  const std::shared_ptr<const plugin> code = p.code;
  return deployment::prepare(p.spec, how == isolation::process ? elsewhere(code) : code).value();
}

using shadow_test = host_test;

TEST_F(shadow_test, it_begins_where_the_live_one_stands_with_its_state) {
  std::map<std::string, int64_t> state;
  values out;
  size_t before = 0;
  const deployment live_one = alone(live_counter<counter_traits>());
  const deployment both = live_one.with(shadow_counter<counter_traits>()).value();
  live(topics, live_one, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    out = counted({"a", "b", "a"}, state);
    before = out.size();
    b.produce("in", {"a", "b", "a"});
    co_await b.host->adopt(both);
    b.produce("in", {"a", "c"});
    for (const std::string& line : counted({"a", "c"}, state)) out.push_back(line);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("c.shadow").state, flow_state::running) << b.status("c.shadow").why_paused;
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    EXPECT_EQ(co_await all_of(b, "in.counts.shadow"), values(out.begin() + long(before), out.end()));
    const auto compared = b.status("c.shadow").compared;
    EXPECT_EQ(compared.size(), 1u);
    EXPECT_EQ(compared.at(0).live_from, int64_t(before));
    EXPECT_EQ(compared.at(0).live_topic, "in.counts");
    EXPECT_EQ(compared.at(0).shadow_topic, "in.counts.shadow");
    EXPECT_TRUE(b.status("c").compared.empty());
  });
  // It goes on after a restart, and its end leaves no trace in the other.
  live(topics, both, [&](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"b"});
    for (const std::string& line : counted({"b"}, state)) out.push_back(line);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts.shadow"), values(out.begin() + long(before), out.end()));
    EXPECT_EQ(co_await fold(*b.store, id_of("c.shadow-counts-changelog", 0)), as_texts(state));
    EXPECT_EQ(b.status("c.shadow").compared.at(0).live_from, int64_t(before));
    co_await b.host->adopt(live_one);
    co_await b.host->forget("c.shadow");
    b.produce("in", {"b"});
    for (const std::string& line : counted({"b"}, state)) out.push_back(line);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    EXPECT_EQ(co_await fold(*b.store, id_of("c-counts-changelog", 0)), as_texts(state));
  });
}

TEST_F(shadow_test, it_does_not_begin_when_its_broker_stops_while_a_call_of_the_original_is_away) {
  const deployment live_one = alone(as(isolation::thread, live_counter<counter_traits>()));
  const deployment both = live_one.with(shadow_counter<counter_traits>()).value();
  for (int us = 0; us < 400; us += 5) {
    disk_ = std::make_shared<runtime::sim_disk>(1);
    live(topics, live_one, [&](bench& b) -> task<void> {
      b.host->start();
      co_await settled(*b.host, *b.store);
      b.produce("in", {"a", "b", "a"});
      co_await runtime::reactor::current().sleep(std::chrono::microseconds(us));
      co_await b.host->adopt(both);
    });
  }
}

TEST_F(shadow_test, its_copy_is_migrated_and_the_original_is_not) {
  std::map<std::string, int64_t> state;
  const deployment live_one = alone(live_counter<counter_traits>());
  live(topics, live_one, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    values out = counted({"a", "b", "a"}, state);
    b.produce("in", {"a", "b", "a"});
    co_await b.host->adopt(live_one.with(shadow_counter<hash_counter_traits>()).value());
    b.produce("in", {"b"});
    for (const std::string& line : counted({"b"}, state)) out.push_back(line);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    EXPECT_EQ(co_await all_of(b, "in.counts.shadow"), values{"b:2"});
    EXPECT_EQ(co_await fold(*b.store, id_of("c-counts-changelog", 0)), as_texts(state));
    const auto copied = co_await fold(*b.store, id_of("c.shadow-counts-changelog", 0));
    EXPECT_EQ(copied, (std::map<std::string, std::string>{{"a", "#2"}, {"b", "#2"}}));
    // Promoted: the version goes into the place, and takes over the original's own state.
    co_await b.host->adopt(alone(live_counter<hash_counter_traits>()));
    co_await b.host->forget("c.shadow");
    b.produce("in", {"a"});
    for (const std::string& line : counted({"a"}, state)) out.push_back(line);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("c").state, flow_state::running) << b.status("c").why_paused;
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    EXPECT_EQ(co_await fold(*b.store, id_of("c-counts-changelog", 0)),
              (std::map<std::string, std::string>{{"a", "#3"}, {"b", "#2"}}));
  });
}

TEST_F(shadow_test, a_copy_that_cannot_be_made_pauses_the_shadow_alone) {
  const deployment live_one = alone(live_counter<counter_traits>());
  live(topics, live_one, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    b.produce("in", {"a", "b", "unfit"});
    co_await b.host->adopt(live_one.with(shadow_counter<counter_traits>(200)).value());
    co_await settled(*b.host, *b.store);
    EXPECT_NE(b.status("c.shadow").why_paused.find("state_bytes_max = 200"), std::string::npos);
    co_await b.host->adopt(live_one.with(shadow_counter<hash_counter_traits>()).value());
    co_await settled(*b.host, *b.store);
    EXPECT_NE(b.status("c.shadow").why_paused.find("unfit"), std::string::npos)
        << b.status("c.shadow").why_paused;
    b.produce("in", {"a"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), (values{"a:1", "b:1", "unfit:1", "a:2"}));
    EXPECT_TRUE((co_await all_of(b, "in.counts.shadow")).empty());
  });
}

// It begins between two calls of the live one, which are made elsewhere, and so are its own.
TEST_F(shadow_test, it_begins_beside_one_that_is_busy_apart) {
  for (const isolation how : {isolation::thread, isolation::process}) {
    std::map<std::string, int64_t> state;
    values out;
    const deployment live_one = alone(as(how, live_counter<counter_traits>()));
    live(topics, live_one, [&](bench& b) -> task<void> {
      b.host->start();
      co_await settled(*b.host, *b.store);
      const auto produce = [&](size_t count) {
        values input;
        for (size_t i = 0; i < count; ++i) input.push_back(std::string(400, 'k') + std::to_string(i % 7));
        for (const std::string& line : counted(input, state)) out.push_back(line);
        b.produce("in", input);
      };
      // More than one call takes.
      for (size_t i = 0; i < 10; ++i) produce(100);
      // A call is under way.
      while (b.status("c").cursor == 0)
        co_await runtime::reactor::current().sleep(std::chrono::microseconds(10));
      const bool was_done = b.status("c").cursor == 1000;
      EXPECT_FALSE(was_done);
      co_await b.host->adopt(live_one.with(as(how, shadow_counter<hash_counter_traits>())).value());
      produce(50);
      co_await settled(*b.host, *b.store);
      EXPECT_EQ(b.status("c.shadow").state, flow_state::running) << b.status("c.shadow").why_paused;
      EXPECT_EQ(co_await all_of(b, "in.counts"), out);
      const auto compared = b.status("c.shadow").compared;
      MR_ASSERT(compared.size() == 1);
      EXPECT_LT(compared[0].live_from, 1050);
      EXPECT_EQ(co_await all_of(b, "in.counts.shadow"),
                values(out.begin() + compared[0].live_from, out.end()));
    });
    disk_ = std::make_shared<runtime::sim_disk>(1);
  }
}

// While the live one stands at a record that it cannot process, the shadow shows whether it can.
TEST_F(shadow_test, it_begins_beside_one_that_has_paused) {
  const auto code = code_of<sorter_traits>();
  processor_spec beside = spec_for(*code, "s.shadow", "in");
  for (auto& [output, topic] : beside.outputs) topic += ".shadow";
  beside.stands_for = "s";
  beside.is_shadow = true;
  const deployment live_one =
      alone(deployment::prepare(spec_for(*code, "s", "in", {{"poison", "4"}}), code).value());
  const deployment both = live_one.with(deployment::prepare(beside, code).value()).value();
  live({"in", "in.threes", "in.rest", "in.threes.shadow", "in.rest.shadow"}, live_one,
       [&](bench& b) -> task<void> {
         b.host->start();
         co_await settled(*b.host, *b.store);
         b.produce("in", {"1", "3", "4", "5", "6"});
         co_await b.host->adopt(both);
         co_await settled(*b.host, *b.store);
         EXPECT_EQ(b.status("s").state, flow_state::paused);
         EXPECT_EQ(co_await all_of(b, "in.rest.shadow"), (values{"4", "5"}));
         EXPECT_EQ(co_await all_of(b, "in.threes.shadow"), values{"6"});
       });
}

}  // namespace
}  // namespace millrace::processors

int main(int argc, char** argv) {
  return millrace::processors::kit::run_tests(argc, argv, millrace::processors::codes());
}
