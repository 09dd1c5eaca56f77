// The bundled processors that look at one record at a time, and `clean`, which also remembers what has been
// there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "tests/processors/bundled_kit.h"

using namespace bundled_kit;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

TEST(bundled_filter, passes_records_as_they_are) {
  const config with{{"processor", "filter"}, {"keep", "a > 1"}};
  const std::string spaced = "{ \"a\" : 2.50 }";
  harness h(table_of(with), with);
  h.feed({std::nullopt, spaced, 77, {{"h", "x"}, {"n", std::nullopt}}});
  h.feed({"k", R"({"a":1})", 78, {}});
  ASSERT_EQ(h.output("out").size(), 1);
  const harness::emitted& e = h.output()[0];
  EXPECT_EQ(e.value, spaced);
  EXPECT_EQ(e.key, std::nullopt);
  EXPECT_EQ(e.timestamp_ms, 77);
  EXPECT_EQ(e.headers.size(), 2);
}

TEST(bundled_filter, reads_csv) {
  const config with{{"processor", "filter"},
                    {"format", "csv"},
                    {"columns", "road, speed:number, n:whole, ok:boolean"},
                    {"keep", "ok and speed + n > 3 and road == 'a;\"b'"},
                    {"separator", ";"}};
  EXPECT_EQ(one(with, "\"a;\"\"b\"; 2.5 ;1;true\r\n"), "\"a;\"\"b\"; 2.5 ;1;true\r\n");
  EXPECT_EQ(one(with, "x;2.5;1;true"), "nothing");
  EXPECT_THAT(one(with, "a;fast;1;true"),
              HasSubstr("the value is not such CSV: column speed is \"fast\", and a number is expected"));
  EXPECT_THAT(one(with, "a;1;1.5;true"), HasSubstr("column n is \"1.5\", and a whole number"));
  EXPECT_THAT(one(with, "a;1;1"), HasSubstr("it has 3 columns, and 4 are expected"));
  EXPECT_THAT(one(with, "a;1;1;true;5"), HasSubstr("more than the 4 columns"));
  EXPECT_THAT(one(with, "\"a;1;1;true"), HasSubstr("a quote is not closed"));
  EXPECT_THAT(one(with, "\"a\"b;1;1;true"), HasSubstr("something behind a closed quote"));
  EXPECT_THAT(one(with, "a;;1;true"), HasSubstr("nil value (field 'speed')"));
}

TEST(bundled_map, makes_other_records) {
  const config with{{"processor", "map"},
                    {"fields.b", "a * 2"},
                    {"fields.c", "missing"},
                    {"key", "a"},
                    {"timestamp", "a * 10"}};
  EXPECT_THAT(run(with, {record(R"({"z":1,"a":7})")}), ElementsAre(R"(out 7 {"b":14} 70)"));
  EXPECT_THAT(one(with, R"({"a":-1})"), HasSubstr("whole milliseconds since 1970 are expected"));
  EXPECT_THAT(one({{"processor", "map"}, {"fields.a", "a"}, {"key", "b"}}, R"({"a":1})"),
              HasSubstr("key = \"b\": it is missing"));
}

TEST(bundled_map, keeps_other_fields) {
  const config with{{"processor", "map"},
                    {"others", "keep"},
                    {"remove", "x,y"},
                    {"fields.b", "a * 2"},
                    {"fields.c", "nil"}};
  EXPECT_EQ(one(with, R"({"x":1,"a":7,"b":null,"c":3,"y":{"k":[]},"d":[1.5,{}]})"),
            R"({"a":7,"b":14,"d":[1.5,{}]})");
}

TEST(bundled_route, sends_to_each_that_holds) {
  const config with{
      {"processor", "route"}, {"outputs.big", "a > 10"}, {"outputs.even", "a % 2 == 0"}, {"rest", "other"}};
  EXPECT_THAT(run(with, {record(R"({"a":12})"), record(R"({"a":3})"), record(R"({"a":4})")}),
              ElementsAre(R"(big k {"a":12} 1000)", R"(even k {"a":12} 1000)", R"(other k {"a":3} 1000)",
                          R"(even k {"a":4} 1000)"));
  const config without{{"processor", "route"}, {"outputs.big", "a > 10"}};
  harness h(table_of(without), without);
  h.feed(record(R"({"a":3})"));
  EXPECT_TRUE(h.output().empty());
  EXPECT_EQ(h.metrics().at("dropped"), 1);
}

TEST(bundled_sample, takes_a_share_and_all_of_one_value) {
  const config each{{"processor", "sample"}, {"share", "0.25"}};
  std::vector<harness::input> records;
  for (int i = 0; i < 20'000; ++i) records.push_back(record("anything " + std::to_string(i)));
  const auto taken = run(each, records);
  EXPECT_NEAR(static_cast<double>(taken.size()), 5000, 250);
  EXPECT_EQ(taken, run(each, records, 7));
  EXPECT_TRUE(run({{"processor", "sample"}, {"share", "0"}}, records).empty());
  EXPECT_EQ(run({{"processor", "sample"}, {"share", "1"}}, records).size(), records.size());

  const config by_user{{"processor", "sample"}, {"share", "0.5"}, {"by", "user"}};
  std::map<std::string, int> by_value;
  std::vector<harness::input> clicks;
  for (int i = 0; i < 3000; ++i) clicks.push_back(record("{\"user\":" + std::to_string(i % 300) + "}"));
  harness h(table_of(by_user), by_user);
  h.feed_all(clicks);
  for (const std::string& value : h.values("out")) ++by_value[value];
  EXPECT_NEAR(static_cast<double>(by_value.size()), 150, 40);
  for (const auto& [value, times] : by_value) EXPECT_EQ(times, 10) << value;
}

TEST(bundled_clean, casts_and_fills) {
  const config with{{"processor", "clean"},       {"fields.n.cast", "number"}, {"fields.w.cast", "whole"},
                    {"fields.b.cast", "boolean"}, {"fields.t.cast", "text"},   {"fields.t.default", "007"},
                    {"fields.d.default", "5"},    {"fields.s.trim", "true"}};
  EXPECT_EQ(one(with, R"({"n":" 1.5 ","w":"2.5","b":"true","t":12,"d":null,"s":" x "})"),
            R"({"n":1.5,"w":3,"b":true,"t":"12","d":5,"s":"x"})");
  EXPECT_EQ(one(with, R"({"n":true,"w":1e300,"b":2,"o":[1]})"),
            R"({"n":1,"w":null,"b":null,"o":[1],"d":5,"t":"007"})");
  EXPECT_EQ(one(with, R"({"n":[1],"s":"  ","d":"","t":""})"), R"({"n":null,"s":null,"d":"","t":"007"})");
}

TEST(bundled_clean, drops_clamps_and_fails) {
  const config with{{"processor", "clean"},       {"fields.a.missing", "drop"}, {"fields.b.missing", "fail"},
                    {"fields.a.min", "0"},        {"fields.a.max", "10"},       {"fields.b.max", "5"},
                    {"fields.b.outside", "drop"}, {"fields.c.min", "1.5"},      {"fields.c.outside", "fail"}};
  EXPECT_EQ(one(with, R"({"a":11,"b":1})"), R"({"a":10,"b":1})");
  EXPECT_EQ(one(with, R"({"a":-0.5,"b":1,"c":2})"), R"({"a":0,"b":1,"c":2})");
  EXPECT_EQ(one(with, R"({"b":1})"), "nothing");
  EXPECT_EQ(one(with, R"({"a":1})"), "field b is missing");
  EXPECT_EQ(one(with, R"({"a":1,"b":6})"), "nothing");
  EXPECT_EQ(one(with, R"({"a":1,"b":1,"c":1})"), "field c is 1, less than 1.5");
}

TEST(bundled_clean, reaches_into_objects) {
  const config with{{"processor", "clean"}, {"fields.a.b.default", "1"}};
  EXPECT_EQ(one(with, R"({"a":{"c":2}})"), R"({"a":{"c":2,"b":1}})");
  EXPECT_EQ(one(with, R"({})"), R"({"a":{"b":1}})");
  EXPECT_EQ(one(with, R"({"a":3})"), "field a.b cannot be set: something on the way to it is no object");
}

// By brute force: a record passes if none of those that have passed and are noted is near it.
TEST(bundled_clean, passes_a_value_once_within_the_time) {
  const config with{{"processor", "clean"}, {"unique", "id"}, {"within", "100ms"}};
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    uint64_t state = seed;
    const auto below = [&](uint64_t limit) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      return static_cast<int64_t>((state >> 33) % limit);
    };
    std::vector<harness::input> records;
    int64_t now = 10'000;
    for (int i = 0; i < 200; ++i) {
      now += below(30);
      const int64_t at = below(4) == 0 ? now - below(300) : now;
      records.push_back(
          record("{\"id\":" + std::to_string(below(4)) + ",\"n\":" + std::to_string(i) + "}", at));
    }
    std::map<std::string, int64_t> last;
    std::vector<std::string> expected;
    int64_t stream_time = 0;
    for (const harness::input& r : records) {
      stream_time = std::max(stream_time, r.timestamp_ms);
      std::erase_if(last, [&](const auto& e) { return e.second + 100 < stream_time; });
      const std::string id = r.value->substr(6, 1);
      const auto before = last.find(id);
      if (before != last.end() && std::abs(before->second - r.timestamp_ms) <= 100) continue;
      expected.push_back(*r.value);
      if (before == last.end() ? r.timestamp_ms + 100 >= stream_time : r.timestamp_ms > before->second)
        last[id] = r.timestamp_ms;
    }
    for (const uint64_t cut : {1u, 2u}) {
      harness h(table_of(with), with);
      h.feed_all(records, cut);
      EXPECT_EQ(h.values("out"), expected) << seed;
      EXPECT_EQ(h.metrics().at("duplicates"), static_cast<double>(records.size() - expected.size()));
      EXPECT_EQ(h.store("seen").size(), h.store("seen-calendar").size());
      EXPECT_LE(h.store("seen").size(), 4);
    }
  }
}

}  // namespace
