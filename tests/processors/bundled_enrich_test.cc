// `enrich`: records with fields of what a table has under their key.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/processors/bundled_kit.h"

using namespace bundled_kit;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

using text = std::optional<std::string>;

harness::input of(const std::string& from, text key, text value, int64_t at_ms = 1000) {
  return {std::move(key), std::move(value), at_ms, {}, from};
}
harness::input entry(text key, text value, int64_t at_ms = 1000) {
  return of("table", std::move(key), std::move(value), at_ms);
}
harness::input asking(text key, text value, int64_t at_ms = 1000) {
  return of("records", std::move(key), std::move(value), at_ms);
}

TEST(bundled_enrich, adds_fields_of_the_entry) {
  const config with{{"processor", "enrich"},    {"fields.name", "name"},   {"fields.twice", "n * 2"},
                    {"fields.none", "nowhere"}, {"fields.of", "meta.key"}, {"under", "all"}};
  EXPECT_THAT(run(with, {entry("k", R"({"name":"Ann","n":4})", 5),
                         asking("k", R"({"a":1,"name":"own","none":2})", 7)}),
              ElementsAre(R"(out k {"a":1,"name":"Ann","of":"k","twice":8,"all":{"name":"Ann","n":4}} 7)"));
}

TEST(bundled_enrich, sees_the_latest_entry_and_none_once_it_is_removed) {
  const config with{{"processor", "enrich"}, {"fields.v", "v"}};
  EXPECT_THAT(run(with, {asking("k", R"({"a":1})"), entry("k", R"({"v":1})"), asking("k", R"({"a":2})"),
                         entry("k", R"({"v":2})", 10), asking("k", R"({"a":3})"), entry("j", R"({"v":7})"),
                         entry("k", std::nullopt), asking("k", R"({"a":4})")}),
              ElementsAre(R"(out k {"a":1} 1000)", R"(out k {"a":2,"v":1} 1000)",
                          R"(out k {"a":3,"v":2} 1000)", R"(out k {"a":4} 1000)"));
}

TEST(bundled_enrich, does_with_what_is_missing_as_it_is_told) {
  const auto lines = [](const std::string& missing) {
    const config with{{"processor", "enrich"}, {"fields.v", "v"}, {"missing", missing}};
    return run(with, {entry("k", R"({"v":1})"), asking("j", R"({"a":1})"), asking(std::nullopt, R"({"a":2})"),
                      asking("k", R"({"a":3})")});
  };
  EXPECT_THAT(lines("keep"), ElementsAre(R"(out j {"a":1} 1000)", R"(out <null> {"a":2} 1000)",
                                         R"(out k {"a":3,"v":1} 1000)"));
  EXPECT_THAT(lines("drop"), ElementsAre(R"(out k {"a":3,"v":1} 1000)"));
  EXPECT_THAT(lines("fail"), ElementsAre(R"(out k {"a":3,"v":1} 1000)",
                                         HasSubstr("failed 0 the table has nothing under the key \"j\""),
                                         HasSubstr("failed 1 there is no key to be looked up in the table")));
  const config with{{"processor", "enrich"}, {"fields.v", "v"}, {"missing", "drop"}};
  harness h(table_of(with), with);
  h.feed(asking("j", R"({"a":1})"));
  h.feed(entry(std::nullopt, R"({"v":1})"));
  EXPECT_EQ(h.metrics().at("dropped"), 1);
  EXPECT_EQ(h.metrics().at("table_records_without_key"), 1);
}

TEST(bundled_enrich, looks_up_by_a_field_and_reads_csv) {
  const config with{{"processor", "enrich"},
                    {"key", "road"},
                    {"within_partition", "true"},
                    {"format", "csv"},
                    {"columns", "road,speed:number"},
                    {"table.format", "csv"},
                    {"table.columns", "limit:number,name"},
                    {"table.separator", ";"},
                    {"fields.limit", "limit"}};
  EXPECT_THAT(run(with, {entry("A1", "130;west"), asking("any", "A1,90"), asking("any", ",90")}),
              ElementsAre(R"(out any {"road":"A1","speed":90,"limit":130} 1000)",
                          R"(out any {"road":"","speed":90} 1000)"));
}

// Keys are any bytes, and headers go on.
TEST(bundled_enrich, keys_are_bytes) {
  const config with{{"processor", "enrich"}, {"fields.v", "v"}, {"missing", "fail"}};
  harness h(table_of(with), with);
  h.feed(entry("\xff", R"({"v":1})"));
  h.feed({"\xff", R"({"a":1})", 3, {{"h", "x"}}, "records"});
  ASSERT_EQ(h.output().size(), 1);
  EXPECT_EQ(h.output()[0].value, R"({"a":1,"v":1})");
  EXPECT_EQ(h.output()[0].headers.size(), 1);
  h.feed(asking("\xfe", R"({"a":1})"));
  EXPECT_THAT(h.failures().at(0).why, HasSubstr("not UTF-8"));
}

// An entry that cannot be read leaves the one before it, and a value that no expression fits fails the
// record.
TEST(bundled_enrich, failures_change_nothing) {
  const config with{{"processor", "enrich"}, {"fields.v", "v * 2"}};
  EXPECT_THAT(run(with, {entry("k", R"({"v":1})"), entry("k", "no JSON"), asking("k", R"({"a":1})"),
                         entry("k", R"({"v":"fast"})"), asking("k", R"({"a":2})")}),
              ElementsAre(R"(out k {"a":1,"v":2} 1000)", HasSubstr("failed 1 the value is not JSON"),
                          HasSubstr("failed 1 fields.v")));
}

TEST(bundled_enrich, store_is_laid_out_as_documented) {
  const config with{{"processor", "enrich"}, {"under", "t"}};
  harness h(table_of(with), with);
  h.feed(entry("k", R"({ "v" : 1.50 })", 0x0102));
  EXPECT_EQ(h.store("table"), (harness::content{{"k", std::string("\0\0\0\0\0\0\1\2", 8) + R"({"v":1.5})"}}));
}

// Against a map, whatever calls the records are cut into, and with a second instance on the first one's
// store.
TEST(bundled_enrich, equals_a_map) {
  const config with{{"processor", "enrich"}, {"fields.v", "v"}};
  uint64_t state = 5;
  const auto below = [&](uint64_t limit) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % limit;
  };
  std::vector<harness::input> records;
  std::map<std::string, std::string> there;
  std::vector<std::string> expected;
  for (int i = 0; i < 2000; ++i) {
    const std::string key = "k" + std::to_string(below(20));
    const std::string number = std::to_string(i);
    switch (below(6)) {
      case 0:
        records.push_back(entry(key, std::nullopt));
        there.erase(key);
        break;
      case 1:
      case 2:
        records.push_back(entry(key, "{\"v\":" + number + "}"));
        there[key] = number;
        break;
      default:
        records.push_back(asking(key, "{\"a\":" + number + "}"));
        expected.push_back("{\"a\":" + number + (there.contains(key) ? ",\"v\":" + there[key] : "") + "}");
    }
  }
  for (const uint64_t cut : {1u, 2u, 3u}) {
    harness first(table_of(with), with);
    first.feed_all({records.begin(), records.begin() + 1000}, cut);
    harness second(table_of(with), with);
    for (const auto& [key, value] : first.store("table")) second.leave("table", key, value);
    second.feed_all({records.begin() + 1000, records.end()}, cut);
    auto made = first.values("out");
    for (const std::string& value : second.values("out")) made.push_back(value);
    EXPECT_EQ(made, expected);
  }
}

}  // namespace
