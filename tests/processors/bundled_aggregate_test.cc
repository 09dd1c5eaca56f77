// `aggregate`: compared with tests/data/bundled, which Python's own statistics made; windows of all kinds.
#include <cmath>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/processors/bundled_kit.h"

using namespace bundled_kit;
using millrace::json;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

std::vector<json> lines_of(const std::string& name) {
  std::ifstream in(std::string(BUNDLED_DATA_DIR) + "/" + name);
  std::vector<json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line));
  return lines;
}

config by_road() {
  return {{"processor", "aggregate"},
          {"key", "road"},
          {"key_name", "road"},
          {"within_partition", "true"},
          {"window", "1min"},
          {"grace", "10s"},
          {"late", "true"},
          {"results.records", "count()"},
          {"results.speeds", "count(speed)"},
          {"results.vehicles", "distinct(vehicle)"},
          {"results.sum", "sum(speed)"},
          {"results.mean", "mean(speed)"},
          {"results.min", "min(speed)"},
          {"results.max", "max(speed)"},
          {"results.median", "quantile(speed, 0.5)"},
          {"results.p90", "quantile(speed, 0.9)"},
          {"results.variance", "variance(speed)"}};
}

std::vector<harness::input> feed() {
  std::vector<harness::input> records;
  for (const json& line : lines_of("records.jsonl"))
    records.push_back({line["key"].text(), millrace::encode(line["value"]), line["timestamp"].whole(), {}});
  return records;
}

// Not a number and a number are as far apart as can be.
double distance(const json& a, const json& b) {
  if (a.is_null() && b.is_null()) return 0;
  if (!a.is_number() || !b.is_number()) return INFINITY;
  const double scale = std::max({std::fabs(a.number()), std::fabs(b.number()), 1e-9});
  return std::fabs(a.number() - b.number()) / scale;
}

TEST(bundled_aggregate, equals_an_independent_computation) {
  const auto records = feed();
  auto expected = lines_of("expected.jsonl");
  ASSERT_GT(expected.size(), 50);
  const int64_t late = expected[0]["late"].whole();
  ASSERT_GT(late, 20);
  expected.erase(expected.begin());
  harness h(table_of(by_road()), by_road());
  h.feed_all(records);
  EXPECT_TRUE(h.failures().empty());
  const auto results = h.output("out");
  ASSERT_EQ(results.size(), expected.size());
  for (size_t i = 0; i < results.size(); ++i) {
    const json made = json::parse(*results[i].value);
    const json& wanted = expected[i];
    SCOPED_TRACE(*results[i].value);
    EXPECT_EQ(results[i].key, wanted["road"].text());
    EXPECT_EQ(results[i].timestamp_ms, wanted["timestamp"].whole());
    for (const char* exact : {"road", "window_start", "window_end", "records", "speeds", "vehicles"})
      EXPECT_EQ(made[exact], wanted[exact]) << exact;
    for (const char* close : {"sum", "mean", "min", "max", "variance"})
      EXPECT_LT(distance(made[close], wanted[close]), 1e-9) << close;
    for (const char* sketched : {"median", "p90"})
      EXPECT_LT(distance(made[sketched], wanted[sketched]), 0.0101) << sketched;
  }
  EXPECT_EQ(h.output("late").size(), static_cast<size_t>(late));
  EXPECT_EQ(h.metrics().at("groups.late"), static_cast<double>(late));
}

TEST(bundled_aggregate, results_do_not_depend_on_where_calls_are_cut) {
  const auto records = feed();
  config with = by_road();
  for (const config& kind : {config{},
                             {{"window", "1min"}, {"every", "20s"}},
                             {{"sliding", "5s"}},
                             {{"session", "2s"}},
                             {{"window", "1min"}, {"emit", "update"}},
                             {{"none", ""}}}) {
    config one = with;
    if (!kind.empty()) {
      one.erase("window");
      if (kind.contains("none")) one.erase("grace"), one.erase("late");
      for (const auto& [key, value] : kind)
        if (key != "none") one[key] = value;
    }
    const auto first = run(one, records, 1);
    EXPECT_GT(first.size(), 50);
    EXPECT_EQ(first, run(one, records, 99)) << one["session"];
  }
}

// The stores after half of the records are all that an instance needs for the rest.
TEST(bundled_aggregate, goes_on_from_its_stores) {
  const auto records = feed();
  const config with = by_road();
  harness whole(table_of(with), with);
  whole.feed_all(records);
  harness first(table_of(with), with);
  const std::vector<harness::input> half(records.begin(), records.begin() + 1500);
  first.feed_all(half);
  harness second(table_of(with), with);
  for (const auto& [key, value] : first.store("groups")) second.leave("groups", key, value);
  second.start_at(1500);
  second.feed_all({records.begin() + 1500, records.end()});
  auto there = first.values("out");
  for (const std::string& value : second.values("out")) there.push_back(value);
  EXPECT_EQ(there, whole.values("out"));
}

TEST(bundled_aggregate, of_all_so_far_by_the_record_s_key) {
  const config with{{"processor", "aggregate"}, {"results.n", "count()"}, {"results.s", "sum(a)"}};
  EXPECT_THAT(run(with, {record(R"({"a":1})", 5), record(R"({"a":2})", 9), record(R"({})", 7, "j"),
                         record(R"({"a":0.5})", 3)}),
              ElementsAre(R"(out k {"key":"k","n":1,"s":1} 5)", R"(out k {"key":"k","n":2,"s":3} 9)",
                          R"(out j {"key":"j","n":1,"s":0} 7)", R"(out k {"key":"k","n":3,"s":3.5} 9)"));
  EXPECT_EQ(one(with, R"({"a":1})", std::nullopt), "nothing");
  EXPECT_THAT(one(with, R"({"a":1})", "\xff"), HasSubstr("the key is not a text"));
  EXPECT_THAT(one(with, R"({"a":"1"})"), HasSubstr("\"a\": a number is expected, and it is \"1\""));
}

TEST(bundled_aggregate, sessions_grow_together) {
  const config with{{"processor", "aggregate"},   {"session", "10ms"},          {"grace", "100ms"},
                    {"results.n", "count()"},     {"results.top", "top(2, a)"}, {"results.m", "mean(a)"},
                    {"results.d", "distinct(a)"}, {"results.min", "min(a)"},    {"results.s", "sum(a)"}};
  EXPECT_THAT(
      run(with, {record(R"({"a":1})", 1000), record(R"({"a":2})", 1020), record(R"({"a":2})", 1010),
                 record(R"({"a":5})", 2000)}),
      ElementsAre(
          R"(out k {"key":"k","window_start":1000,"window_end":1020,"d":2,"m":1.6666666666666667,"min":1,"n":3,)"
          R"("s":5,"top":[{"value":2,"count":2},{"value":1,"count":1}]} 1020)"));
}

TEST(bundled_aggregate, sums_stay_whole_while_they_can) {
  const config with{{"processor", "aggregate"}, {"results.s", "sum(a)"}};
  const auto last = [&](const std::vector<std::string>& values) {
    std::vector<harness::input> records;
    for (const std::string& value : values) records.push_back(record("{\"a\":" + value + "}"));
    return run(with, records).back();
  };
  EXPECT_EQ(last({"9007199254740993", "2"}), R"(out k {"key":"k","s":9007199254740995} 1000)");
  EXPECT_EQ(last({"9223372036854775807", "1"}), R"(out k {"key":"k","s":9223372036854775808} 1000)");
  EXPECT_EQ(last({"1e100", "1.5", "-1e100"}), R"(out k {"key":"k","s":1.5} 1000)");
  EXPECT_EQ(last({"1.5e308", "1.5e308"}), R"(out k {"key":"k","s":null} 1000)");
}

TEST(bundled_aggregate, another_layout_has_another_state_version) {
  const config with{{"processor", "aggregate"}, {"window", "1min"}, {"results.s", "sum(a)"}};
  const auto version = [&](const config& change) {
    config whole = with;
    for (const auto& [key, value] : change) whole[key] = value;
    return table_of(whole)->state_version;
  };
  EXPECT_EQ(version({}), version({{"grace", "5s"}}));
  EXPECT_NE(version({}), version({{"window", "2min"}}));
  EXPECT_NE(version({}), version({{"results.s", "sum(b)"}}));
  EXPECT_NE(version({}), version({{"results.m", "mean(a)"}}));
}

TEST(bundled_aggregate, tells_its_steps) {
  const std::string text = table_of(by_road())->topology;
  EXPECT_THAT(text, HasSubstr("aggregate (tumbling 1min, grace 10s, on close, late to late) [groups]"));
  EXPECT_THAT(text, HasSubstr("group_by (road: max = max(speed), mean = mean(speed)"));
}

// ---- Sketches ----

}  // namespace
