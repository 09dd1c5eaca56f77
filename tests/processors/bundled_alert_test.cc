// `alert`: each condition fires once and clears.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "tests/processors/bundled_kit.h"

using namespace bundled_kit;
using testing::ElementsAre;

namespace {

harness::input at(int64_t ms, const std::string& value, const std::string& key = "k") {
  return record("{\"v\":" + value + "}", ms, key);
}

// The values of what comes out.
std::vector<std::string> told(const config& with, const std::vector<harness::input>& records) {
  harness h(table_of(with), with);
  h.feed_all(records);
  EXPECT_TRUE(h.failures().empty());
  harness again(table_of(with), with);
  again.feed_all(records, 31);
  EXPECT_EQ(h.values("out"), again.values("out"));
  return h.values("out");
}

TEST(bundled_alert, fires_once_beyond_a_threshold_and_clears_inside_the_margin) {
  const config with{{"processor", "alert"}, {"value", "v"}, {"above", "10"}, {"margin", "2"}};
  EXPECT_THAT(
      told(with, {at(1, "10"), at(2, "10.5"), at(3, "12"), at(4, "9"), at(5, "11"), at(6, "8"), at(7, "9"),
                  at(8, "10.1")}),
      ElementsAre(
          R"({"key":"k","condition":"above","state":"fired","at":2,"since":2,"value":10.5,"limit":10})",
          R"({"key":"k","condition":"above","state":"cleared","at":6,"since":2,"value":8,"limit":10})",
          R"({"key":"k","condition":"above","state":"fired","at":8,"since":8,"value":10.1,"limit":10})"));
}

TEST(bundled_alert, watches_a_band_by_key) {
  const config with{
      {"processor", "alert"}, {"value", "v"}, {"above", "10"}, {"below", "5"}, {"key_name", "sensor"}};
  EXPECT_THAT(
      told(with, {at(1, "4", "a"), at(2, "11", "b"), at(3, "7", "b"), at(4, "12", "a"), at(5, "null", "a")}),
      ElementsAre(
          R"({"sensor":"a","condition":"below","state":"fired","at":1,"since":1,"value":4,"limit":5})",
          R"({"sensor":"b","condition":"above","state":"fired","at":2,"since":2,"value":11,"limit":10})",
          R"({"sensor":"b","condition":"above","state":"cleared","at":3,"since":2,"value":7,"limit":10})",
          R"({"sensor":"a","condition":"above","state":"fired","at":4,"since":4,"value":12,"limit":10})",
          R"({"sensor":"a","condition":"below","state":"cleared","at":4,"since":1,"value":12,"limit":5})"));
}

TEST(bundled_alert, watches_how_fast_it_changes) {
  const config with{{"processor", "alert"}, {"value", "v"}, {"rise", "5"}, {"fall", "1"}, {"per", "1s"}};
  EXPECT_THAT(
      told(with,
           {at(1000, "0"), at(2000, "5"), at(2500, "8"), at(2500, "100"), at(3500, "99.5"), at(4500, "98")}),
      ElementsAre(
          R"({"key":"k","condition":"rise","state":"fired","at":2500,"since":2500,"value":6,"limit":5})",
          R"({"key":"k","condition":"rise","state":"cleared","at":3500,"since":2500,"value":-0.5,"limit":5})",
          R"({"key":"k","condition":"fall","state":"fired","at":4500,"since":4500,"value":-1.5,"limit":1})"));
}

TEST(bundled_alert, notices_absence) {
  const config with{{"processor", "alert"}, {"absent", "10ms"}};
  EXPECT_THAT(
      told(with, {at(1, "0", "a"), at(5, "0", "b"), at(11, "0", "b"), at(40, "0", "c"), at(41, "0", "a")}),
      ElementsAre(R"({"key":"a","condition":"absent","state":"fired","at":11,"since":11,"limit":10})",
                  R"({"key":"b","condition":"absent","state":"fired","at":21,"since":21,"limit":10})",
                  R"({"key":"a","condition":"absent","state":"cleared","at":41,"since":11,"limit":10})"));
}

TEST(bundled_alert, older_records_change_nothing) {
  const config with{{"processor", "alert"}, {"value", "v"}, {"above", "10"}, {"absent", "100ms"}};
  harness h(table_of(with), with);
  h.feed_all({at(50, "1"), at(40, "11"), at(50, "12")});
  EXPECT_THAT(
      h.values("out"),
      ElementsAre(
          R"({"key":"k","condition":"above","state":"fired","at":50,"since":50,"value":12,"limit":10})"));
  EXPECT_EQ(h.metrics().at("late"), 1);
  EXPECT_EQ(h.store("keys").size(), 1);
  EXPECT_EQ(h.store("keys-calendar").size(), 1);
}

}  // namespace
