// Joins across topics: the same as if the records of all of them came from one.
#include <gtest/gtest.h>

#include "tests/processors/stream_kit.h"

namespace {

using namespace stream_kit;
using namespace std::chrono_literals;
using millrace::topology;
using text = std::string;
using maybe = std::optional<text>;

text both(const maybe& a, const maybe& b) {
  return a.value_or("-") + "+" + b.value_or("-");
}

template <class L, class R>
void join_all(const L& left, const R& right) {
  const auto table = right.to_table("table");
  left.outer_join(right, millrace::within(30ms, millrace::grace(50ms)), "met", both).to("met");
  left.left_join(table, [](const text& a, const maybe& b) { return both(a, b); }).to("enriched");
  left.to_table("other").outer_join(table, both).to_stream().to("tables");
}
void of_two(topology& t) {
  join_all(t.from<text, text>("left"), t.from<text, text>("right"));
}
void of_one(topology& t) {
  const auto [left, right] = t.from<text, text>("all").branch([](const text& v) { return v[0] == 'l'; },
                                                              [](const text&) { return true; });
  join_all(left, right);
}
// What two inputs merge into.
void merged(topology& t) {
  const auto one = t.from<text, text>("left").merge(t.from<text, text>("right"));
  one.outer_join(t.from<text, text>("third"), millrace::within(30ms), "met", both).to("met");
}
void twice(topology& t) {
  t.from<text>("a").to("x");
  t.from<text>("a").to("y");
}

using rows = std::vector<std::tuple<text, maybe, maybe, int64_t>>;

rows rows_of(const harness& h) {
  rows all;
  for (const harness::emitted& e : h.output()) all.emplace_back(e.output, e.key, e.value, e.timestamp_ms);
  return all;
}

TEST(stream_inputs_test, joins_are_those_of_one_topic_with_the_same_records) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    std::vector<harness::input> one = numbered(seed, 300, 5);
    dice roll(seed);
    for (harness::input& r : one) r.value = (roll.below(2) == 0 ? "l" : "r") + *r.value;
    std::vector<harness::input> two = one;
    for (harness::input& r : two) r.from = (*r.value)[0] == 'l' ? "left" : "right";
    harness whole(table_of<of_one>());
    whole.feed_all(one, seed);
    harness parted(table_of<of_two>());
    parted.feed_all(two, seed + 7);
    ASSERT_TRUE(parted.failures().empty());
    ASSERT_GT(parted.output().size(), 100u);
    ASSERT_EQ(rows_of(parted), rows_of(whole)) << "seed " << seed;
  }
}

// Offsets say nothing across topics: records that are alike but for their topic all wait.
TEST(stream_inputs_test, records_of_different_inputs_do_not_take_each_others_place) {
  harness h(table_of<merged>());
  h.clock_ms = 1000;
  h.feed("left", "k", "a");
  h.feed("right", "k", "b");
  h.feed("third", "k", "c");
  EXPECT_EQ(h.values("met"), (std::vector<text>{"a+c", "b+c"}));
}

TEST(stream_inputs_test, inputs_are_told_apart_by_their_names) {
  const millrace_processor* table = table_of<of_two>();
  ASSERT_EQ(table->input_count, 2u);
  EXPECT_STREQ(table->inputs[0], "left");
  EXPECT_STREQ(table->inputs[1], "right");
  EXPECT_EQ(table_of<of_one>()->input_count, 0u);
  EXPECT_EQ(refusal<twice>(),
            "the processor does not start: two from() of \"a\": one stream may have several steps behind it");
  harness h(table);
  EXPECT_THROW(h.feed("k", "v"), millrace::failure);
  EXPECT_THROW(h.feed("middle", "k", "v"), millrace::failure);
}

}  // namespace
