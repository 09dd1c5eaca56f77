// The SDK's harness, on an example that has all there is: stores, timers, options, failures.
#include <gtest/gtest.h>
#include <millrace/harness.h>

#include "processors/examples/window_sum/window_sum.cc"

namespace {

using millrace::harness;
using texts = std::vector<std::string>;

const millrace_processor* table() {
  return millrace_processor_entry(MILLRACE_PROCESSOR_ABI_VERSION);
}

std::vector<harness::input> amounts(std::initializer_list<std::pair<int64_t, const char*>> list) {
  std::vector<harness::input> all;
  for (const auto& [at, value] : list) all.push_back({"k", value, at, {}});
  return all;
}

TEST(harness_test, outputs_may_go_to_other_partitions) {
  // Kafka's own test vectors.
  EXPECT_EQ(static_cast<int32_t>(millrace::murmur2("21")), -973932308);
  EXPECT_EQ(static_cast<int32_t>(millrace::murmur2("foobar")), -790332482);
  EXPECT_EQ(static_cast<int32_t>(millrace::murmur2("a-little-bit-long-string")), -985981536);
  EXPECT_EQ(static_cast<int32_t>(millrace::murmur2("a-little-bit-longer-string")), -1486304829);
  EXPECT_EQ(static_cast<int32_t>(millrace::murmur2("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8")),
            -58897971);
  EXPECT_EQ(static_cast<int32_t>(millrace::murmur2("abc")), 479470107);

  harness h(table(), {{"window_ms", "100"}}, 2);
  h.partition_by_key("totals", 5);
  h.feed_all(amounts({{1000, R"({"amount":1})"}, {1100, R"({"amount":1})"}}));
  ASSERT_EQ(h.output("totals").size(), 1u);
  EXPECT_EQ(h.output("totals")[0].partition, millrace::partition_for_key("k", 5));
  harness plain(table(), {{"window_ms", "100"}}, 2);
  plain.feed_all(amounts({{1000, R"({"amount":1})"}, {1100, R"({"amount":1})"}}));
  EXPECT_EQ(plain.output("totals")[0].partition, 2);
  EXPECT_THROW(plain.partition_by_key("unheard of", 5), millrace::failure);
}

// Keeps lengths where its first version kept the words themselves.
class lengths {
 public:
  void process(const millrace::record&, millrace::context&) {}
  void migrate(const millrace::old_entry& entry, millrace::context& context) {
    if (entry.key() == "emit") context.emit({}, "x", "y");
    if (entry.key() == "bad") throw millrace::failure("bad");
    context.put(words_, entry.key(), std::to_string(entry.value().size()));
    if (entry.key() == "b") context.erase(words_, "c");
    context.put(words_, std::string(entry.key()) + "+", "added");
  }
  explicit lengths(const millrace::setup& setup) : words_(setup.store("words")) {}

 private:
  millrace::store words_;
};
struct lengths_traits {
  using type = lengths;
  static constexpr millrace::definition shape =
      millrace::define("lengths", "2").store("words").state_version(2).migrates_from(1);
};

TEST(harness_test, state_of_an_earlier_version_can_be_migrated) {
  harness h(millrace::processor_adapter<lengths_traits>::table());
  EXPECT_THROW(h.migrate(0), millrace::failure);
  EXPECT_THROW(h.migrate(2), millrace::failure);
  h.leave("words", "a", "one");
  h.leave("words", "b", "three");
  h.leave("words", "c", "five");
  h.migrate(1);
  EXPECT_EQ(h.store("words"), (harness::content{{"a", "3"}, {"a+", "added"}, {"b", "5"}, {"b+", "added"}}));
  for (const char* key : {"bad", "emit"}) {
    harness other(millrace::processor_adapter<lengths_traits>::table());
    other.leave("words", "a", "one");
    other.leave("words", key, "x");
    const harness::content before = other.store("words");
    EXPECT_THROW(other.migrate(1), millrace::failure) << key;
    EXPECT_EQ(other.store("words"), before) << key;
  }
}

TEST(harness_test, the_clock_is_that_of_the_records) {
  harness h(table(), {{"window_ms", "100"}});
  h.clock_ms = 1000;
  h.feed("a", R"({"amount":1})");
  h.feed("b", R"({"amount":2.5})");
  h.clock_ms = 1099;
  h.feed("a", R"({"amount":4})");
  EXPECT_TRUE(h.output().empty());
  EXPECT_EQ(h.store("sums").size(), 2u);
  EXPECT_EQ(h.timers().size(), 2u);
  h.clock_ms = 1100;
  h.feed("a", R"({"amount":8})");
  EXPECT_EQ(h.values("totals"),
            (texts{R"({"from":1000,"sum":5,"count":2})", R"({"from":1000,"sum":2.5,"count":1})"}));
  EXPECT_EQ(h.output("totals")[1].key, "b");
  EXPECT_EQ(h.output("totals")[1].timestamp_ms, 1100);
  EXPECT_EQ(h.metrics().at("windows"), 2);
  h.clock_ms = 1050;
  h.feed("a", "{\"amount\":16}");
  EXPECT_EQ(h.output("late").size(), 1u);
  EXPECT_EQ(h.output("late")[0].timestamp_ms, 1050);
}

TEST(harness_test, a_failed_record_leaves_nothing_behind) {
  harness h(table(), {{"window_ms", "100"}});
  h.feed_all(amounts(
      {{10, R"({"amount":1})"}, {250, "no json"}, {20, R"({"amount":"x"})"}, {30, R"({"amount":2})"}}));
  ASSERT_EQ(h.failures().size(), 2u);
  EXPECT_EQ(h.failures()[0].offset, 1);
  EXPECT_EQ(h.failures()[0].why, "the value is not JSON: a value is expected (byte 0)");
  EXPECT_EQ(h.failures()[1].why, "not a number");
  EXPECT_TRUE(h.output().empty());  // the record at 250 failed, so its time has not come
  h.feed({"k", R"({"amount":4})", 100, {}});
  EXPECT_EQ(h.values("totals"), texts{R"({"from":0,"sum":3,"count":2})"});
}

TEST(harness_test, results_do_not_depend_on_calls) {
  std::vector<harness::input> records;
  uint64_t random = 7;
  for (int i = 0; i < 500; ++i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const auto at = static_cast<int64_t>(i * 10 + (random >> 40) % 200);
    records.push_back({std::to_string(random % 3), random % 17 ? R"({"amount":1})" : "bad", at, {}});
  }
  texts first;
  for (uint64_t seed = 1; seed < 20; ++seed) {
    harness h(table(), {{"window_ms", "100"}});
    h.feed_all(records, seed);
    const texts totals = h.values("totals");
    if (first.empty()) first = totals;
    EXPECT_GT(totals.size(), 50u);
    EXPECT_EQ(totals, first) << seed;
  }
}

TEST(harness_test, what_does_not_start_says_why) {
  try {
    harness h(table(), {{"window_ms", "0"}});
    FAIL();
  } catch (const millrace::failure& e) {
    EXPECT_STREQ(e.what(), "the processor does not start: window_ms must be at least 1");
  }
  EXPECT_THROW(harness(nullptr), millrace::failure);
}

}  // namespace
