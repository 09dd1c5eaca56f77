#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <numeric>

#include "tools/top/view.h"

namespace millrace::tools {
namespace {

using testing::HasSubstr;

reading at_second(int second) {
  return {.at = moment{} + std::chrono::seconds(second),
          .time_ms = 1'800'000'000'000 + second * 1000,
          .cluster_id = "abc",
          .brokers = 1};
}

TEST(top, a_rate_is_what_ends_have_grown_by_in_partitions_that_were_there_before) {
  reading before = at_second(10);
  reading now = at_second(12);
  before.ends["orders"] = {{0, 100}, {1, 50}};
  now.ends["orders"] = {{0, 300}, {1, 50}, {2, 1'000}};  // the last is new
  now.ends["fresh"] = {{0, 7}};
  before.ends["anew"] = {{0, 500}};
  now.ends["anew"] = {{0, 3}};  // deleted and made again
  const snapshot seen = compare(before, now);
  ASSERT_EQ(seen.topics.size(), 3u);
  EXPECT_EQ(seen.topics[0].name, "orders");
  EXPECT_EQ(seen.topics[0].per_second, 100);
  EXPECT_EQ(seen.topics[0].end, 1'350);
  EXPECT_EQ(seen.topics[1].per_second, 0);
  EXPECT_EQ(seen.topics[2].per_second, 0);
  EXPECT_EQ(seen.seconds, 2);
  EXPECT_FALSE(seen.processors);
  EXPECT_FALSE(seen.shards);
}

TEST(top, lag_is_summed_by_group_and_topic_and_the_furthest_behind_comes_first) {
  reading before = at_second(0);
  reading now = at_second(4);
  now.ends["a"] = {{0, 100}, {1, 10}};
  now.ends["b"] = {{0, 1000}};
  before.groups["g"] = {
      .at = moment{} + std::chrono::seconds(1), .state = "Stable", .committed = {{{"a", 0}, 40}}};
  now.groups["g"] = {.at = moment{} + std::chrono::seconds(3),
                     .state = "Stable",
                     .committed = {{{"a", 0}, 60}, {{"a", 1}, 99}, {{"b", 0}, 1}, {{"gone", 0}, 5}}};
  const snapshot seen = compare(before, now);
  ASSERT_EQ(seen.groups.size(), 3u);
  EXPECT_EQ(seen.groups[0].topic, "b");
  EXPECT_EQ(seen.groups[0].lag, 999);
  EXPECT_EQ(seen.groups[1].topic, "a");
  EXPECT_EQ(seen.groups[1].lag, 40);
  EXPECT_EQ(seen.groups[1].per_second, 10);
  EXPECT_EQ(seen.groups[2].topic, "gone");
  EXPECT_EQ(seen.groups[2].lag, 0);
}

TEST(top, shards_and_processors_have_rates_where_a_broker_tells_of_them) {
  reading before = at_second(0);
  reading now = at_second(2);
  before.own =
      own_reading{.processors = {{.name = "p", .state = "running", .records_in = 10, .records_out = 0}},
                  .shards = {{.shard = 0, .cpu_seconds = 1, .commits = 10, .appended_bytes = 0}}};
  now.own = own_reading{
      .processors =
          {{.name = "p", .state = "running", .input = "in", .lag = 3, .records_in = 30, .records_out = 4}},
      .shards = {{.shard = 0, .partitions = 6, .cpu_seconds = 2, .commits = 30, .appended_bytes = 4'000'000},
                 {.shard = 1, .cpu_seconds = 9}}};
  const snapshot seen = compare(before, now);
  ASSERT_TRUE(seen.processors && seen.shards);
  EXPECT_EQ((*seen.processors)[0].in_per_second, 10);
  EXPECT_EQ((*seen.processors)[0].out_per_second, 2);
  EXPECT_EQ((*seen.shards)[0].busy, 0.5);
  EXPECT_EQ((*seen.shards)[0].bytes_per_second, 2'000'000);
  EXPECT_EQ((*seen.shards)[1].busy, 0);
  const std::string text = as_text(seen);
  EXPECT_THAT(
      text,
      HasSubstr(
          "\nPROCESSOR  STATE    INPUT  LAG  IN/S  OUT/S\np          running  in       3    10      2\n"));
  EXPECT_THAT(text, HasSubstr("    0   50%           6     2.0 MB         10"));
  const auto told = nlohmann::json::parse(as_json(seen));
  EXPECT_EQ(told["shards"][0]["busy"], 0.5);
  EXPECT_EQ(told["processors"][0]["lag"], 3);
}

snapshot crowded() {
  reading now = at_second(1);
  for (int i = 0; i < 50; ++i) now.ends[fmt::format("topic-{:02}", i)] = {{0, i}};
  for (int i = 0; i < 20; ++i)
    now.groups[fmt::format("group-{:02}", i)] = {
        .at = now.at, .state = "Empty", .committed = {{{"topic-49", 0}, i}}};
  return compare(now, now);
}

TEST(top, a_screen_is_never_overrun_and_tells_what_it_leaves_out) {
  const snapshot seen = crowded();
  for (size_t height = 0; height < 90; ++height) {
    for (const size_t width : {1, 20, 80}) {
      const auto lines = as_screen(seen, "q quits", width, height, false);
      EXPECT_LE(lines.size(), height);
      for (const std::string& line : lines) EXPECT_LE(line.size(), width);
    }
  }
  const auto lines = as_screen(seen, "q quits", 80, 24, false);
  EXPECT_THAT(lines, testing::Contains("... 41 more"));
  EXPECT_THAT(lines, testing::Contains("... 12 more"));
  EXPECT_THAT(lines[0], testing::EndsWith("q quits"));
}

TEST(top, names_cannot_move_the_cursor) {
  reading now = at_second(0);
  now.groups["evil\x1b[2J\r"] = {.at = now.at, .state = "Empty", .committed = {{{"t", 0}, 1}}};
  now.groups["\xff"] = {.at = now.at, .state = "Empty", .committed = {{{"t", 0}, 1}}};
  const std::string text = as_text(compare(now, now));
  EXPECT_THAT(text, HasSubstr("evil?[2J?"));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\xff'), std::string::npos);
}

TEST(top, lines_are_shared_fairly) {
  EXPECT_EQ(share_lines(100, {5, 10}), (std::vector<size_t>{5, 10}));
  EXPECT_EQ(share_lines(10, {3, 50}), (std::vector<size_t>{3, 7}));
  EXPECT_EQ(share_lines(10, {50, 50}), (std::vector<size_t>{5, 5}));
  EXPECT_EQ(share_lines(0, {1, 1}), (std::vector<size_t>{0, 0}));
  EXPECT_EQ(share_lines(5, {}), (std::vector<size_t>{}));
}

}  // namespace
}  // namespace millrace::tools
