// The SDK's stream level, step by step, but for windows (stream_windows_test.cc) and joins
// (stream_join_test.cc).
#include <millrace/aggregates.h>
#include <millrace/json.h>

#include "tests/processors/stream_kit.h"

namespace {

using namespace stream_kit;
using namespace std::chrono_literals;
using millrace::json;
using millrace::topology;
using texts = std::vector<std::string>;
using optional_text = std::optional<std::string>;

// Output records as "key=value @timestamp".
texts shown(const harness& h, std::string_view output) {
  texts all;
  for (const auto& e : h.output(output))
    all.push_back(e.key.value_or("<null>") + "=" + e.value.value_or("<null>") + " @" +
                  std::to_string(e.timestamp_ms));
  return all;
}

void steps(topology& t) {
  const auto words = t.from<optional_text, std::string>("lines")
                         .filter([](const std::string& line) { return !line.empty(); })
                         .flat_map([](const optional_text& key, const std::string& line) {
                           std::vector<std::pair<std::string, std::string>> all;
                           for (const char c : line)
                             all.emplace_back(key.value_or("none"), std::string(1, c));
                           return all;
                         });
  const auto [digits, small] =
      words.branch([](const std::string& c) { return c >= "0" && c <= "9"; },
                   [](const std::string&, const std::string& c) { return c >= "a" && c <= "z"; });
  digits.map([](const std::string& k, const std::string& v) { return std::pair(v, k); }).to("digits");
  digits.map_values([](const std::string& v) { return int64_t{v[0]} - '0'; })
      .flat_map_values([](int64_t n) { return std::vector<optional_text>(static_cast<size_t>(n)); })
      .to("nulls");
  digits.merge(small.select_key([](const std::string& v) { return v + v; }))
      .peek([](const std::string&, const std::string&, millrace::context& ctx) { ctx.count("seen"); })
      .to("merged");
}

TEST(stream_test, records_go_through_the_steps) {
  harness h(table_of<steps>());
  h.clock_ms = 5;
  h.feed("k", "a1?");
  h.feed("k", "");
  h.clock_ms = 6;
  h.feed(std::nullopt, "2");
  EXPECT_TRUE(h.failures().empty());
  EXPECT_EQ(shown(h, "digits"), (texts{"1=k @5", "2=none @6"}));
  EXPECT_EQ(shown(h, "nulls"), (texts{"k=<null> @5", "none=<null> @6", "none=<null> @6"}));
  EXPECT_EQ(shown(h, "merged"), (texts{"aa=a @5", "k=1 @5", "none=2 @6"}));
  EXPECT_EQ(h.metrics().at("seen"), 3);
}

TEST(stream_test, what_is_no_such_record_fails_with_the_reason) {
  harness h(table_of<steps>());
  h.feed("k", std::nullopt);
  h.feed("k", "\xff");
  ASSERT_EQ(h.failures().size(), 2u);
  EXPECT_EQ(h.failures()[0].why, "the value is null");
  EXPECT_EQ(h.failures()[1].why, "the value is not a text: it is not UTF-8");
  EXPECT_TRUE(h.output().empty());
}

TEST(stream_test, a_topology_describes_itself) {
  EXPECT_EQ(millrace::describe(&steps, "steps", "1.0"),
            "topology steps 1.0\n"
            "  0 from (lines) -> 1\n"
            "  1 filter -> 2\n"
            "  2 flat_map -> 3\n"
            "  3 branch -> 4, 5\n"
            "  4 way 0 -> 6, 8, 12\n"
            "  5 way 1 -> 11\n"
            "  6 map -> 7\n"
            "  7 to (digits)\n"
            "  8 map_values -> 9\n"
            "  9 flat_map_values -> 10\n"
            "  10 to (nulls)\n"
            "  11 select_key -> 12\n"
            "  12 merge -> 13\n"
            "  13 peek -> 14\n"
            "  14 to (merged)\n");
}

void average(topology& t) {
  t.from<std::string, json>("readings")
      .filter([](const json& reading) { return reading["speed"].is_number(); })
      .map_values([](const json& reading) { return reading["speed"].number(); })
      .group_by_key()
      .window(millrace::tumbling(1min), millrace::grace(10s))
      .emit_on_close()
      .aggregate("speeds", millrace::mean(), [](double speed, millrace::mean m) { return m.add(speed); })
      .map_values([](const millrace::mean& m) { return m.value(); })
      .to("averages");
}

TEST(stream_test, an_average_per_minute_takes_ten_lines) {
  harness h(table_of<average>());
  h.feed({"A1", R"({"speed": 50})", 60'000, {}});
  h.feed({"A1", R"({"speed": 70})", 119'999, {}});
  h.feed({"A1", R"({"speed": "fast"})", 119'999, {}});
  h.feed({"A1", R"({"speed": 120})", 120'000, {}});
  h.feed({"A1", R"({"speed": 90})", 61'000, {}});
  EXPECT_TRUE(h.output().empty());
  h.feed({"A2", R"({"speed": 1})", 130'000, {}});
  h.feed({"A1", R"({"speed": 1})", 119'999, {}});
  ASSERT_EQ(h.output("averages").size(), 1u);
  const auto made = h.output("averages")[0];
  const auto key = millrace::decode<millrace::windowed<std::string>>(*made.key);
  EXPECT_EQ(key.key, "A1");
  EXPECT_EQ(key.window.start_ms, 60'000);
  EXPECT_EQ(*made.key, "A1" + millrace::encode(int64_t{60'000}));  // as Kafka's TimeWindowedSerializer
  EXPECT_DOUBLE_EQ(millrace::decode<double>(*made.value), 70);
  EXPECT_EQ(made.timestamp_ms, 119'999);
  EXPECT_EQ(h.metrics().at("speeds.late"), 1);
  EXPECT_EQ(millrace::describe(&average, "average", "2"),
            "topology average 2\n"
            "  0 from (readings) -> 1\n"
            "  1 filter -> 2\n"
            "  2 map_values -> 3\n"
            "  3 group_by_key -> 4\n"
            "  4 aggregate (tumbling 1min, grace 10s, on close) [speeds] -> 5\n"
            "  5 map_values -> 6\n"
            "  6 to (averages)\n");
  EXPECT_EQ(millrace::graph(&average, "average \"2\"", "2"),
            "digraph \"average \\\"2\\\"\" {\n"
            "  node [shape=box];\n"
            "  s0 [label=\"from\\nreadings\", shape=cylinder];\n"
            "  s1 [label=\"filter\"];\n"
            "  s2 [label=\"map_values\"];\n"
            "  s3 [label=\"group_by_key\"];\n"
            "  s4 [label=\"aggregate\\ntumbling 1min, grace 10s, on close\"];\n"
            "  s5 [label=\"map_values\"];\n"
            "  s6 [label=\"to\\naverages\", shape=cylinder];\n"
            "  \"speeds\" [shape=folder];\n"
            "  s4 -> \"speeds\" [dir=both, style=dashed];\n"
            "  s0 -> s1;\n  s1 -> s2;\n  s2 -> s3;\n  s3 -> s4;\n  s4 -> s5;\n  s5 -> s6;\n"
            "}\n");
}

TEST(stream_test, windowed_keys_are_those_of_kafkas_serializers) {
  // What TimeWindowedSerializer and SessionWindowedSerializer of Kafka 4.3.1 make of "k" from 1000 to 2000.
  const std::string time("k\x00\x00\x00\x00\x00\x00\x03\xe8", 9);
  const std::string session("k\x00\x00\x00\x00\x00\x00\x07\xd0\x00\x00\x00\x00\x00\x00\x03\xe8", 17);
  EXPECT_EQ(millrace::encode(millrace::windowed<std::string>{"k", {1000, 2000}}), time);
  EXPECT_EQ(millrace::encode(millrace::session_of<std::string>{"k", {1000, 2000}}), session);
  const auto read = millrace::decode<millrace::session_of<std::string>>(session);
  EXPECT_EQ(read.key, "k");
  EXPECT_EQ(read.window.start_ms, 1000);
  EXPECT_EQ(read.window.end_ms, 2000);
  EXPECT_THROW(millrace::decode<millrace::session_of<std::string>>(time), millrace::failure);
  EXPECT_THROW(millrace::decode<millrace::windowed<std::string>>("short"), millrace::failure);
}

void totals(topology& t) {
  const auto grouped = t.from<int64_t>("amounts").group_by_key();
  grouped.count("counts").to_stream().to("counts");
  grouped.reduce("largest", [](int64_t so_far, int64_t next) { return std::max(so_far, next); })
      .map_values([](int64_t n) { return std::to_string(n); })
      .to_stream()
      .to("largest");
}

TEST(stream_test, aggregates_without_a_window_are_tables) {
  harness h(table_of<totals>());
  const auto feed = [&](std::optional<std::string> key, int64_t amount, int64_t at_ms) {
    h.feed({std::move(key), millrace::encode(amount), at_ms, {}});
  };
  feed("a", 3, 10);
  feed("a", 9, 30);
  feed(std::nullopt, 1, 30);
  feed("a", 5, 20);
  EXPECT_EQ(shown(h, "largest"), (texts{"a=3 @10", "a=9 @30", "a=9 @30"}));
  EXPECT_EQ(h.values("counts").back(), millrace::encode(int64_t{3}));
  EXPECT_EQ(h.metrics().at("records_without_key"), 1);
  // As in Kafka's timestamped stores.
  EXPECT_EQ(h.store("counts"),
            (harness::content{{"a", millrace::encode(int64_t{30}) + millrace::encode(int64_t{3})}}));
}

void with_headers(topology& t) {
  t.keep_headers();
  const auto all = t.from<std::string>("in");
  all.to("out");
  all.group_by_key().window(millrace::tumbling(10ms)).emit_on_close().count("counts").to("closed");
}

TEST(stream_test, headers_go_where_the_record_goes) {
  harness h(table_of<with_headers>());
  h.feed({"k", "v", 5, {{"h", "1"}}});
  h.feed({"k", "v", 15, {{"h", "2"}}});
  ASSERT_EQ(h.output("out").size(), 2u);
  EXPECT_EQ(h.output("out")[0].headers, (std::vector<std::pair<std::string, optional_text>>{{"h", "1"}}));
  ASSERT_EQ(h.output("closed").size(), 1u);
  EXPECT_TRUE(h.output("closed")[0].headers.empty());
}

// ---- What does not start ----
void nothing(topology&) {}
void new_key(topology& t) {
  t.from<std::string>("a").select_key([](const std::string& v) { return v; }).group_by_key().count("counts");
}
void same_store(topology& t) {
  const auto all = t.from<std::string>("a").group_by_key();
  all.count("counts");
  all.count("counts");
}
void own_key(topology& t) {
  t.from<std::string>("a")
      .group_by([](const std::string& v) { return v; }, millrace::within_partition)
      .count("counts")
      .to_stream()
      .to("out");
}
void changing(topology& t) {
  t.from<std::string>("a").to(t.option("name", "out"));
}
void no_window(topology& t) {
  t.from<std::string>("a").group_by_key().window(millrace::tumbling(0ms)).count("counts");
}

TEST(stream_test, what_cannot_be_built_says_why) {
  EXPECT_EQ(refusal<new_key>(),
            "the processor does not start: the key has changed: send the records to where they belong by "
            "it, with through(\"a name\") before this step, or say within_partition where it changes");
  EXPECT_EQ(refusal<same_store>(), "the processor does not start: two steps call their store \"counts\"");
  EXPECT_EQ(refusal<no_window>(),
            "the processor does not start: the size of a window must be between 1 ms and 1,000 years");
  EXPECT_EQ(refusal<nothing>(), "the processor does not start: the topology has no from()");
  EXPECT_EQ(refusal<own_key>(), "none");
  EXPECT_EQ(refusal<changing>(), "none");
  try {
    harness h(table_of<changing>(), {{"name", "other"}});
    FAIL();
  } catch (const millrace::failure& e) {
    EXPECT_STREQ(
        e.what(),
        "the processor does not start: the topology's inputs, outputs or stores depend on its options");
  }
}

// ---- Time ----
void windows(topology& t) {
  t.from<std::string, std::string>("a")
      .group_by_key()
      .window(millrace::tumbling(10ms), millrace::grace(5ms))
      .emit_on_close()
      .late_to("late")
      .reduce("kept", [](const std::string& a, const std::string& b) { return a + b; })
      .map_values([](const std::string& v) { return v; })
      .to("out");
}

TEST(stream_test, a_late_record_comes_out_as_it_went_in) {
  harness h(table_of<windows>());
  h.feed({"k", "a", 24, {}});
  h.feed({"k", "b", 9, {}});
  h.feed({"k", "c", 10, {}});  // the grace holds its window open
  ASSERT_EQ(h.output("late").size(), 1u);
  const auto late = h.output("late")[0];
  EXPECT_EQ(late.key, "k");
  EXPECT_EQ(late.value, "b");
  EXPECT_EQ(late.timestamp_ms, 9);
  EXPECT_EQ(late.headers, (std::vector<std::pair<std::string, optional_text>>{{"millrace.window", "0-10"}}));
  EXPECT_EQ(h.metrics().at("kept.late"), 1);
  EXPECT_EQ(h.store("kept").size(), 2u);
}

TEST(stream_test, entries_lie_as_the_documentation_says_and_go_when_they_are_closed) {
  harness h(table_of<windows>());
  h.feed({"k", "a", 25, {}});
  h.feed({"k", "b", 22, {}});
  EXPECT_EQ(h.store("kept"), (harness::content{{millrace::encode(millrace::ordered<int64_t>(20)) + "k",
                                                millrace::encode(int64_t{25}) + "ab"}}));
  h.feed({"other", "c", 34, {}});
  EXPECT_EQ(h.store("kept").size(), 2u);
  h.feed({"other", "d", 35, {}});
  EXPECT_EQ(h.store("kept").size(), 1u);
  EXPECT_EQ(h.values("out"), texts{"ab"});
}

TEST(stream_test, times_at_the_edges_are_no_trouble) {
  harness h(table_of<windows>());
  h.feed({"k", "no time", -1, {}});
  ASSERT_EQ(h.failures().size(), 1u);
  EXPECT_EQ(h.failures()[0].why, "the record has no timestamp");
  h.feed({"k", "a", 0, {}});
  h.feed({"k", "b", INT64_MAX, {}});
  h.feed({"k", "c", INT64_MAX - 20, {}});
  EXPECT_EQ(h.failures().size(), 1u);
  EXPECT_EQ(h.values("out"), texts{"a"});
}

TEST(stream_test, what_closes_at_once_is_worked_off_in_portions) {
  harness h(table_of<windows>());
  const std::string large(10'000, 'x');
  for (int i = 0; i < 1000; ++i) h.feed({"k" + std::to_string(i), large, 5, {}});
  size_t before = 0;
  for (int i = 0; i < 40; ++i) {
    h.feed({"k", "t", 100, {}});
    const size_t now = h.output("out").size();
    EXPECT_LE((now - before) * large.size(), (size_t{1} << 20) + large.size());
    before = now;
  }
  EXPECT_EQ(h.output("out").size(), 1000u);
  EXPECT_EQ(h.store("kept").size(), 1u);
  EXPECT_TRUE(h.failures().empty());
}

TEST(stream_test, a_mean_is_that_of_all_its_numbers) {
  millrace::mean all;
  millrace::mean left;
  millrace::mean right;
  for (int i = 0; i < 100; ++i) {
    const double number = 1e9 + i;
    all = all.add(number);
    (i < 30 ? left : right) = (i < 30 ? left : right).add(number);
  }
  for (const millrace::mean& one :
       {all, left.merge(right), millrace::decode<millrace::mean>(millrace::encode(all))}) {
    EXPECT_EQ(one.count(), 100);
    EXPECT_DOUBLE_EQ(one.value(), 1e9 + 49.5);
    EXPECT_NEAR(one.variance(), 841.66666666666663, 1e-6);
  }
  EXPECT_TRUE(std::isnan(millrace::mean().value()));
  EXPECT_TRUE(std::isnan(millrace::mean().add(1).variance()));
  EXPECT_EQ(millrace::mean().merge(all).count(), 100);
  EXPECT_THROW(millrace::decode<millrace::mean>("short"), millrace::failure);
}

}  // namespace
