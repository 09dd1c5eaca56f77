// through(): stages, what they are called, and that results are those of the same steps in one stage when all
// records of a key are in one partition anyway.
#include <gtest/gtest.h>

#include "tests/processors/stream_kit.h"

namespace {

using namespace stream_kit;
using namespace std::chrono_literals;
using millrace::topology;
using text = std::string;
using maybe = std::optional<text>;

text first_letter(const text&, const text& value) {
  return value.substr(0, 1);
}

// Rekeyed, then counted; and what both stages send to one output.
void rekeyed(topology& t) {
  const auto all = t.from<text, text>("words");
  all.to("seen");
  const auto by_letter = all.select_key(first_letter).through("by-letter");
  by_letter.map_values([](const text& v) { return v + "!"; }).to("seen");
  by_letter.group_by_key()
      .count("counts")
      .to_stream()
      .map_values([](const std::optional<int64_t>& n) { return std::to_string(n.value_or(0)); })
      .to("counted");
}

template <bool IsThrough>
void windowed(topology& t) {
  const auto key = [](const text&, const text& value) { return std::to_string(std::stoi(value) % 4); };
  const auto all = t.from<text, text>("in");
  const auto rekeyed = [&] {
    if constexpr (IsThrough)
      return all.select_key(key).through("key");
    else
      return all.select_key(key, millrace::within_partition);
  }();
  rekeyed.group_by_key()
      .window(millrace::tumbling(40ms), millrace::grace(20ms))
      .late_to("late")
      .emit_on_close()
      .count("counts")
      .map([](const auto& k, int64_t n) {
        return std::pair(k.key + "@" + std::to_string(k.window.start_ms), std::to_string(n));
      })
      .to("counted");
}

// Three stages, the last of which reads a second topic.
void three(topology& t) {
  const auto users = t.from<text, text>("users").to_table("users");
  t.from<text, text>("clicks")
      .select_key(first_letter)
      .through("first")
      .select_key([](const text& k, const text&) { return k + k; })
      .through("second")
      .left_join(users, [](const text& click, const maybe& user) { return click + "/" + user.value_or("-"); })
      .to("out");
}

void without_through(topology& t) {
  t.from<text, text>("in").select_key(first_letter).group_by_key().count("counts");
}
// What has come through meets what leads there.
void circle(topology& t) {
  const auto all = t.from<text, text>("in");
  all.select_key(first_letter).through("k").merge(all).to("out");
}
void name_of_output(topology& t) {
  const auto all = t.from<text, text>("in");
  all.to("k");
  all.through("k").to("out");
}
void output_of_name(topology& t) {
  t.from<text, text>("in").through("k").to("k");
}
void name_of_input(topology& t) {
  t.from<text, text>("in").through("in").to("out");
}
void twice(topology& t) {
  t.from<text, text>("in").through("k").through("k").to("out");
}
void without_name(topology& t) {
  t.from<text, text>("in").through("").to("out");
}

TEST(stream_through_test, what_follows_is_a_stage_of_its_own) {
  const millrace_processor* table = table_of<rekeyed>();
  EXPECT_EQ(table->input_count, 0u);
  EXPECT_EQ(table->store_count, 0u);
  ASSERT_EQ(table->output_count, 2u);
  EXPECT_STREQ(table->outputs[0], "seen");
  EXPECT_STREQ(table->outputs[1], "by-letter");
  ASSERT_EQ(table->further_stage_count, 1u);
  const millrace_processor* second = table->further_stages[0];
  ASSERT_EQ(second->input_count, 1u);
  EXPECT_STREQ(second->inputs[0], "by-letter");
  ASSERT_EQ(second->store_count, 1u);
  EXPECT_STREQ(second->stores[0], "counts");
  ASSERT_EQ(second->output_count, 2u);
  EXPECT_STREQ(second->outputs[0], "seen");
  EXPECT_STREQ(second->outputs[1], "counted");
}

TEST(stream_through_test, the_harness_runs_all_stages) {
  harness h(table_of<rekeyed>());
  for (const char* word : {"apple", "bear", "ant"}) h.feed("k", word);
  EXPECT_EQ(h.values("seen"), (std::vector<text>{"apple", "apple!", "bear", "bear!", "ant", "ant!"}));
  EXPECT_EQ(h.values("counted"), (std::vector<text>{"1", "1", "2"}));
  EXPECT_EQ(h.store("counts").size(), 2u);
  EXPECT_TRUE(h.values("by-letter").empty());
  EXPECT_EQ(h.output("counted").back().key, "a");
}

TEST(stream_through_test, windows_behind_it_are_those_of_records_that_were_keyed_so_before) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const auto records = numbered(seed, 300, 5);
    harness whole(table_of<windowed<false>>());
    harness staged(table_of<windowed<true>>());
    whole.feed_all(records, seed);
    staged.feed_all(records, seed + 1);
    EXPECT_GT(whole.values("counted").size(), 10u);
    EXPECT_EQ(staged.values("counted"), whole.values("counted"));
    EXPECT_EQ(staged.values("late"), whole.values("late"));
    EXPECT_EQ(staged.store("counts"), whole.store("counts"));
    EXPECT_EQ(staged.metrics(), whole.metrics());
  }
}

TEST(stream_through_test, a_later_stage_may_read_further_topics) {
  const millrace_processor* table = table_of<three>();
  ASSERT_EQ(table->further_stage_count, 2u);
  ASSERT_EQ(table->input_count, 1u);
  EXPECT_STREQ(table->inputs[0], "clicks");
  EXPECT_EQ(table->further_stages[0]->input_count, 1u);
  EXPECT_EQ(table->further_stages[1]->input_count, 2u);
  harness h(table);
  h.feed("users", "xx", "Xenia");
  h.feed("clicks", "1", "x-ray");
  h.feed("clicks", "2", "yes");
  EXPECT_EQ(h.values("out"), (std::vector<text>{"x-ray/Xenia", "yes/-"}));
  EXPECT_EQ(h.output("out").front().key, "xx");
  EXPECT_EQ(h.next_offset("users"), 1);
  EXPECT_EQ(h.next_offset("clicks"), 2);
}

TEST(stream_through_test, what_cannot_be_is_said) {
  EXPECT_NE(refusal<without_through>().find("through(\"a name\")"), text::npos) << refusal<without_through>();
  EXPECT_NE(refusal<circle>().find("meet those that lead there"), text::npos) << refusal<circle>();
  EXPECT_NE(refusal<name_of_output>().find("there is an output of that name"), text::npos);
  EXPECT_NE(refusal<output_of_name>().find("is a through(), and an output"), text::npos);
  EXPECT_NE(refusal<name_of_input>().find("there is an input of that name"), text::npos);
  EXPECT_NE(refusal<twice>().find("there is an output of that name"), text::npos);
  EXPECT_NE(refusal<without_name>().find("a through() without a name"), text::npos);
}

TEST(stream_through_test, stages_are_told_and_drawn) {
  EXPECT_EQ(millrace::describe(rekeyed, "letters", "1"),
            "topology letters 1\n"
            "  stage 0\n"
            "    0 from (words) -> 1, 2\n"
            "    1 to (seen)\n"
            "    2 select_key -> 3\n"
            "  stage 1\n"
            "    3 through (by-letter) -> 4, 6\n"
            "    4 map_values -> 5\n"
            "    5 to (seen)\n"
            "    6 group_by_key -> 7\n"
            "    7 count [counts] -> 8\n"
            "    8 to_stream -> 9\n"
            "    9 map_values -> 10\n"
            "    10 to (counted)\n");
  const text drawn = millrace::graph(rekeyed, "letters", "1");
  EXPECT_NE(drawn.find("subgraph cluster_1"), text::npos) << drawn;
  EXPECT_NE(drawn.find("s3 [label=\"through\\nby-letter\", shape=cylinder];"), text::npos) << drawn;
  EXPECT_NE(drawn.find("s2 -> s3;"), text::npos) << drawn;
}

}  // namespace
