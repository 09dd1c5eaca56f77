// Configuration of processors, checked as a whole.
#include "processors/host/spec.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace millrace::processors {
namespace {

processor_spec spec(std::string name, std::string input, std::vector<std::string> outputs) {
  processor_spec s;
  s.name = std::move(name);
  s.library = "x.so";
  s.input = std::move(input);
  for (const std::string& topic : outputs) s.outputs["to-" + topic] = topic;
  return s;
}

void expect_refused(const std::vector<processor_spec>& specs, std::string_view part) {
  const auto checked = check_specs(specs);
  ASSERT_FALSE(checked);
  EXPECT_NE(checked.error().message.find(part), std::string::npos) << checked.error().message;
}

TEST(spec_test, chains_fan_out_and_fan_in_are_fine) {
  EXPECT_TRUE(check_specs({}));
  EXPECT_TRUE(check_specs(
      {spec("p", "a", {"b", "c"}), spec("q", "b", {"d"}), spec("r", "c", {"d"}), spec("s", "a", {"e"})}));
}

TEST(spec_test, each_spec_is_checked) {
  expect_refused({spec("", "a", {"b"})}, "processor name \"\"");
  expect_refused({spec("p q", "a", {"b"})}, "processor name \"p q\"");
  expect_refused({spec("p", "", {"b"})}, "input \"\" is not a topic name");
  expect_refused({spec("p", "..", {"b"})}, "input \"..\" is not a topic name");
  expect_refused({spec("p", "a", {"b/c"})}, "output to-b/c = \"b/c\" is not a topic name");
  expect_refused({spec("p", "a", {"a"})}, "is its own input");
  expect_refused({spec("p", "a", {"b"}), spec("p", "b", {"c"})}, "two processors are named p");
}

TEST(spec_test, what_happens_to_failed_records_is_checked) {
  processor_spec s = spec("p", "a", {"b"});
  s.on_error = error_policy::dead_letter;
  expect_refused({s}, "needs dead_letter = ");
  s.dead_letter = "a";
  expect_refused({s}, "dead_letter is its own input");
  s.dead_letter = "b.dead";
  EXPECT_TRUE(check_specs({s}));
  expect_refused({s, spec("q", "b.dead", {"a"})}, "processors form a loop");
  s.on_error = error_policy::skip;
  expect_refused({s}, "dead_letter without on_error");
  s = spec("p", "a", {"b"});
  s.on_error = error_policy::reject;
  expect_refused({s}, "neither outputs nor retries");
  s.outputs.clear();
  EXPECT_TRUE(check_specs({s}));
  s.retry_backoff_ms = 0;
  expect_refused({s}, "retry_backoff_ms = 0");
}

TEST(spec_test, a_changelog_belongs_to_one_processor) {
  processor_spec owner = spec("p", "a", {"b"});
  owner.changelogs = {"p-s-changelog", "p-meta-changelog"};
  EXPECT_TRUE(check_specs({owner, spec("reader", "p-s-changelog", {"c"})}));
  expect_refused({owner, spec("q", "a", {"p-s-changelog"})},
                 "topic p-s-changelog is the changelog of processor p");
  expect_refused({owner, spec("q", "p-s-changelog", {"a"})}, "processors form a loop");
  EXPECT_EQ(flow_of({owner}, "p-s-changelog"), "a");
}

TEST(spec_test, an_output_that_goes_by_key_has_an_outbox_and_a_flow_of_its_own) {
  processor_spec p = spec("p", "a", {"b", "c"});
  const std::string output = p.outputs.begin()->first;
  const std::string topic = p.outputs.begin()->second;
  const std::string outbox = "p-" + output + "-outbox";
  p.partition_by = {{output, partitioning::key}};
  EXPECT_EQ(partitioning_of(p, output), partitioning::key);
  EXPECT_EQ(partitioning_of(p, p.outputs.rbegin()->first), partitioning::input);
  EXPECT_EQ(outbox_topic("p", output), outbox);
  EXPECT_TRUE(check_specs({p}));
  EXPECT_EQ(flow_of({p}, topic), topic);
  EXPECT_EQ(flow_of({p}, outbox), "a");
  const std::vector<std::string> derived = derived_topics({p}, "a");
  EXPECT_TRUE(std::ranges::count(derived, topic) == 1 && std::ranges::count(derived, outbox) == 1);
  const std::vector<std::string> beside = topics_beside(p);
  EXPECT_TRUE(std::ranges::count(beside, topic) == 0 && std::ranges::count(beside, outbox) == 1);

  expect_refused({p, spec("q", topic, {"a"})}, "processors form a loop");
  expect_refused({p, spec("q", outbox, {"d"})}, "read " + topic + " instead");
  expect_refused({p, spec("q", "a", {outbox})}, "is the outbox of processor p");
  p.outbox_bytes_max = 1;
  expect_refused({p}, "outbox_bytes_max = 1");
  p = spec("p", "a", {"b"});
  p.partition_by = {{"none", partitioning::key}};
  expect_refused({p}, "partition_by for output none");
  EXPECT_EQ(parse_partitioning("processor").value(), partitioning::processor);
  EXPECT_FALSE(parse_partitioning("hash"));
}

TEST(spec_test, loops_are_refused) {
  expect_refused({spec("p", "a", {"b"}), spec("q", "b", {"c"}), spec("r", "c", {"a"})},
                 "loop: a -> p -> b -> q -> c -> r -> a");
}

TEST(spec_test, chains_have_a_limit) {
  std::vector<processor_spec> chain;
  for (size_t i = 0; i < depth_max; ++i)
    chain.push_back(spec(fmt::format("p{}", i), fmt::format("t{}", i), {fmt::format("t{}", i + 1)}));
  EXPECT_TRUE(check_specs(chain));
  chain.push_back(spec("last", fmt::format("t{}", depth_max), {"end"}));
  expect_refused(chain, "more than 8 processors in a chain");
}

TEST(spec_test, flows_are_connected_topics) {
  const std::vector<processor_spec> specs{spec("p", "m", {"n", "o"}), spec("q", "o", {"x"}),
                                          spec("r", "z", {"x"}), spec("s", "b", {"c"})};
  for (const char* topic : {"m", "n", "o", "x", "z"}) EXPECT_EQ(flow_of(specs, topic), "m") << topic;
  EXPECT_EQ(flow_of(specs, "c"), "b");
  EXPECT_EQ(flow_of(specs, "alone"), "alone");
  EXPECT_EQ(derived_topics(specs, "m"), (std::vector<std::string>{"n", "o", "x"}));
  EXPECT_EQ(derived_topics(specs, "z"), std::vector<std::string>{"x"});
  EXPECT_TRUE(derived_topics(specs, "x").empty());
}

TEST(spec_test, a_processor_is_known_by_its_name) {
  EXPECT_EQ(processor_id("p"), processor_id("p"));
  EXPECT_NE(processor_id("p"), processor_id("q"));
  // Stored positions carry this: it may never change.
  EXPECT_EQ(processor_id("line-cleaner").to_string(), "ygwlcqgwr5ZgkA-bH_9Oew");
}

TEST(spec_test, words_of_the_configuration) {
  EXPECT_EQ(parse_error_policy("pause").value(), error_policy::pause);
  EXPECT_EQ(parse_error_policy("skip").value(), error_policy::skip);
  EXPECT_FALSE(parse_error_policy("ignore"));
  EXPECT_EQ(parse_start_position("earliest").value(), start_position::earliest);
  EXPECT_EQ(parse_start_position("latest").value(), start_position::latest);
  using enum start_position::kind;
  EXPECT_EQ(parse_start_position("1042").value(), (start_position{offset, 1042}));
  EXPECT_EQ(parse_start_position("@1700000000000").value(), (start_position{time, 1'700'000'000'000}));
  EXPECT_EQ(parse_start_position("@1970-01-02").value(), (start_position{time, 86'400'000}));
  for (const char* bad : {"", "oldest", "-1", "1 ", "@", "@noon", "99999999999999999999"})
    EXPECT_FALSE(parse_start_position(bad)) << bad;
}

}  // namespace
}  // namespace millrace::processors
