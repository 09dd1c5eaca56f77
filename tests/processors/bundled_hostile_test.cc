// Records that are meant to harm: each ends with a reason, soon, and leaves the ones around it alone.
#include <chrono>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/processors/bundled_kit.h"

using namespace bundled_kit;
using testing::AnyOf;
using testing::HasSubstr;

namespace {

// As large as records can be.
constexpr size_t large = 16 << 20;

std::string repeated(const std::string& piece, size_t bytes) {
  std::string all;
  while (all.size() + piece.size() <= bytes) all += piece;
  return all;
}

// A processor and the input that hostile records come from.
struct kind {
  const char* name;
  config with;
  std::string input;    // of several
  std::string missing;  // why a record without the field `a` fails; empty if it does not
};

const std::vector<kind>& all_kinds() {
  static const config enriching{{"processor", "enrich"},
                                {"key", "a"},
                                {"within_partition", "true"},
                                {"missing", "fail"},
                                {"fields.x", "a * 2"}};
  static const std::vector<kind> all{
      {"filter", {{"processor", "filter"}, {"keep", "a > 0"}}, "", "attempt to compare"},
      {"map", {{"processor", "map"}, {"fields.x", "a * 2"}, {"others", "keep"}}, "", "nil value (field 'a')"},
      {"clean",
       {{"processor", "clean"}, {"fields.a.cast", "number"}, {"fields.a.missing", "fail"}},
       "",
       "field a is missing"},
      {"clean_unique",
       {{"processor", "clean"}, {"unique", "a + 0"}, {"within", "1ms"}},
       "",
       "nil value (field 'a')"},
      {"aggregate",
       {{"processor", "aggregate"},
        {"window", "1min"},
        {"results.s", "sum(a)"},
        {"results.p", "quantile(a, 0.5)"},
        {"results.d", "distinct(a)"},
        {"results.t", "top(1, a)"},
        {"emit", "update"}},
       "",
       ""},
      {"aggregate_session",
       {{"processor", "aggregate"}, {"session", "1min"}, {"results.s", "sum(a + 0)"}},
       "",
       "nil value (field 'a')"},
      {"alert", {{"processor", "alert"}, {"value", "a + 0"}, {"above", "-1e9"}}, "", "nil value (field 'a')"},
      {"route", {{"processor", "route"}, {"outputs.out", "a > 0"}}, "", "attempt to compare"},
      {"sample",
       {{"processor", "sample"}, {"share", "1"}, {"by", "text(a + 0)"}},
       "",
       "nil value (field 'a')"},
      {"enrich_records", enriching, "records", "no key to be looked up"},
      {"enrich_table", enriching, "table", ""}};
  return all;
}

class bundled_hostile : public testing::TestWithParam<kind> {
 protected:
  // With an entry in the table, if there is one.
  bundled_hostile() : h(table_of(GetParam().with), GetParam().with) {
    if (GetParam().input == "records") h.feed({"1", R"({"a":1})", 1000, {}, "table"});
  }
  void feed(std::optional<std::string> value) { h.feed({"k", std::move(value), 1000, {}, GetParam().input}); }
  harness h;
};

INSTANTIATE_TEST_SUITE_P(all, bundled_hostile, testing::ValuesIn(all_kinds()),
                         [](const auto& of) { return of.param.name; });

// What each kind has to refuse, with a part of the reason.
std::vector<std::pair<std::string, std::string>> hostile() {
  return {{"", "the value is not JSON"},
          {"null", "not a JSON object"},
          {"[1,2]", "not a JSON object"},
          {"7", "not a JSON object"},
          {"{\"a\":1", "not JSON: a comma or }"},
          {"{\"a\":1} x", "something behind the value"},
          {"{\"a\":\"\xff\"}", "not UTF-8"},
          {"{\"a\":1e999}", "too large or too small"},
          {"{\"a\":-1e999}", "too large or too small"},
          {"{\"a\":NaN}", "a value is expected"},
          {"{\"a\":" + std::string(101, '[') + std::string(101, ']') + "}", "nested too deeply"},
          {std::string(large, '['), "nested too deeply"},
          {repeated("{\"a\":", large), "nested too deeply"},
          {std::string(large, ' '), "a value is expected"},
          {"{\"a\":\"" + std::string(large, 'x'), "the text does not end"},
          {"{\"a\":" + std::string(large, '9') + "}", "too large or too small"}};
}

// Each ends with its reason; the records between them are taken.
TEST_P(bundled_hostile, says_why_and_goes_on) {
  size_t count = 0;
  feed(R"({"a":1})");
  for (const auto& [value, reason] : hostile()) {
    const size_t sent = h.output().size();
    feed(value);
    ASSERT_EQ(h.failures().size(), ++count) << value.substr(0, 40);
    EXPECT_THAT(h.failures().back().why, HasSubstr(reason)) << value.substr(0, 40);
    EXPECT_LT(h.failures().back().why.size(), 1000);
    EXPECT_EQ(h.output().size(), sent);
    feed(R"({"a":1})");
    ASSERT_EQ(h.failures().size(), count);
  }
}

TEST_P(bundled_hostile, missing_fields_and_values) {
  feed(R"({"b":1})");
  if (GetParam().missing.empty()) {
    EXPECT_TRUE(h.failures().empty());
  } else {
    ASSERT_EQ(h.failures().size(), 1);
    EXPECT_THAT(h.failures()[0].why, HasSubstr(GetParam().missing));
  }
  const size_t before = h.failures().size();
  feed(std::nullopt);
  if (GetParam().input == "table")  // removes the entry
    EXPECT_EQ(h.failures().size(), before);
  else
    EXPECT_THAT(h.failures().at(before).why, HasSubstr("the value is null"));
}

// Sound ones: very many members, many of one name, very many elements, one long text.
std::vector<std::string> sound(size_t bytes) {
  std::string members = "{\"a\":1";
  for (int i = 0; members.size() < bytes - 20; ++i) members += ",\"m" + std::to_string(i) + "\":0";
  return {members + "}", "{\"a\":1" + repeated(",\"a\":1", bytes) + "}",
          "{\"a\":1,\"l\":[0" + repeated(",0", bytes) + "]}",
          "{\"a\":1,\"t\":\"" + std::string(bytes, 'x') + "\"}"};
}

// Takes seconds at most (all read alike, so one is tried with the largest), even with a debug build's checks.
TEST_P(bundled_hostile, large_records_take_no_longer_than_their_size) {
  for (const std::string& value : sound(GetParam().with.at("processor") == "filter" ? large : 1 << 20)) {
    const auto begin = std::chrono::steady_clock::now();
    feed(value);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
  }
  EXPECT_TRUE(h.failures().empty()) << h.failures()[0].why;
}

TEST(bundled_hostile_csv, says_why) {
  const config with{{"processor", "filter"}, {"format", "csv"}, {"columns", "a:number,b"}, {"keep", "a > 0"}};
  const std::vector<std::pair<std::string, std::string>> bad{
      {"", "it has 1 columns"},
      {std::string(large, ','), "more than the 2 columns"},
      {"1,\"" + std::string(large, 'x'), "a quote is not closed"},
      {"1,\xc0\x80", "not UTF-8"},
      {"1e999,b", "a number is expected"},
      {"nan,b", "a number is expected"},
      {"inf,b", "a number is expected"}};
  for (const auto& [value, reason] : bad)
    EXPECT_THAT(one(with, value), HasSubstr(reason)) << value.substr(0, 40);
  EXPECT_EQ(one(with, "1," + std::string(large, 'x')).size(), large + 2);
}

// Whatever bytes come, a record ends one way or the other.
TEST_P(bundled_hostile, bytes_by_chance) {
  uint64_t state = 11;
  const auto below = [&](uint64_t limit) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % limit;
  };
  const std::vector<std::string> pieces{"{",   "}",     "[", "]",    ",",  ":",       "\"",   "\\",
                                        "a",   "\"a\"", "1", "-",    ".",  "e",       "null", "true",
                                        "\\u", "d800",  " ", "\xff", "\n", "{\"a\":", "1}"};
  for (int i = 0; i < 3000; ++i) {
    std::string value;
    for (uint64_t n = below(12); n > 0; --n) value += pieces[below(pieces.size())];
    feed(value);
  }
  EXPECT_GT(h.failures().size(), 2000);
}

}  // namespace
