// Records that are meant to harm: each ends with a reason, soon, and leaves the ones around it alone.
#include <chrono>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

#include "tests/processors/bundled_kit.h"

using namespace bundled_kit;
using testing::AnyOf;
using testing::HasSubstr;

namespace {

// Nearly as large as records can be. All read alike, so one of them is tried with that; the others with
// `some`.
constexpr size_t large = 15 << 20;
constexpr size_t some = 1 << 20;
size_t size_for(const config& with) {
  return with.at("processor") == "filter" ? large : some;
}

std::string repeated(const std::string& piece, size_t bytes) {
  std::string all;
  while (all.size() + piece.size() <= bytes) all += piece;
  return all;
}

std::vector<config> all_kinds() {
  return {{{"processor", "filter"}, {"keep", "a > 0"}},
          {{"processor", "map"}, {"fields.x", "a * 2"}, {"others", "keep"}},
          {{"processor", "clean"}, {"fields.a.cast", "number"}, {"fields.a.missing", "fail"}},
          {{"processor", "aggregate"},
           {"window", "1min"},
           {"results.s", "sum(a)"},
           {"results.p", "quantile(a, 0.5)"},
           {"results.d", "distinct(a)"},
           {"emit", "update"}},
          {{"processor", "alert"}, {"value", "a + 0"}, {"above", "-1e9"}},
          {{"processor", "route"}, {"outputs.out", "a > 0"}},
          {{"processor", "sample"}, {"share", "1"}, {"by", "text(a + 0)"}}};
}

// What each kind has to refuse, with a part of the reason.
std::vector<std::pair<std::string, std::string>> hostile(size_t large) {
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

TEST(bundled_hostile, every_kind_says_why_and_goes_on) {
  for (const config& with : all_kinds()) {
    SCOPED_TRACE(with.at("processor"));
    harness h(table_of(with), with);
    size_t count = 0;
    for (const auto& [value, reason] : hostile(size_for(with))) {
      h.feed(record(R"({"a":1})"));
      const size_t sent = h.output().size();
      h.feed(record(value));
      ASSERT_EQ(h.failures().size(), ++count) << value.substr(0, 40);
      EXPECT_THAT(h.failures().back().why, HasSubstr(reason)) << value.substr(0, 40);
      EXPECT_LT(h.failures().back().why.size(), 1000);
      EXPECT_EQ(h.output().size(), sent);
    }
    h.feed({"k", std::nullopt, 1000, {}});
    EXPECT_THAT(h.failures().back().why, HasSubstr("the value is null"));
  }
}

// Sound ones: very many members, many of one name, very many elements, one long text.
std::vector<std::string> sound(size_t large) {
  std::string members = "{\"a\":1";
  for (int i = 0; members.size() < large - 20; ++i) members += ",\"m" + std::to_string(i) + "\":0";
  return {members + "}", "{\"a\":1" + repeated(",\"a\":1", large) + "}",
          "{\"a\":1,\"l\":[0" + repeated(",0", large) + "]}",
          "{\"a\":1,\"t\":\"" + std::string(large, 'x') + "\"}"};
}

// Takes seconds at most, even with a debug build's checks.
TEST(bundled_hostile, large_records_take_no_longer_than_their_size) {
  for (const config& with : all_kinds()) {
    SCOPED_TRACE(with.at("processor"));
    harness h(table_of(with), with);
    for (const std::string& value : sound(size_for(with))) {
      const auto begin = std::chrono::steady_clock::now();
      h.feed(record(value));
      EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
    }
    EXPECT_TRUE(h.failures().empty()) << h.failures()[0].why;
  }
}

TEST(bundled_hostile, csv) {
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
TEST(bundled_hostile, bytes_by_chance) {
  uint64_t state = 11;
  const auto below = [&](uint64_t limit) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % limit;
  };
  const std::vector<std::string> pieces{"{",   "}",     "[", "]",    ",",  ":",       "\"",   "\\",
                                        "a",   "\"a\"", "1", "-",    ".",  "e",       "null", "true",
                                        "\\u", "d800",  " ", "\xff", "\n", "{\"a\":", "1}"};
  for (const config& with : all_kinds()) {
    harness h(table_of(with), with);
    for (int i = 0; i < 3000; ++i) {
      std::string value;
      for (uint64_t n = below(12); n > 0; --n) value += pieces[below(pieces.size())];
      h.feed(record(value));
    }
    EXPECT_GT(h.failures().size(), 2000);
  }
}

}  // namespace
