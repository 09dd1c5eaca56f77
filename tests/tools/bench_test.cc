#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>

#include "tools/bench/clock.h"
#include "tools/bench/crowd.h"
#include "tools/bench/load.h"
#include "tools/bench/report.h"
#include "tools/cli/live_rate.h"
#include "tools/cli/pace.h"

namespace millrace::tools {
namespace {

constexpr int64_t ms = 1'000'000;

TEST(samples, a_quantile_is_a_sample_and_no_smaller_share_lies_below) {
  samples s;
  for (int64_t i = 100; i >= 1; --i) s.add(i * 1000);
  EXPECT_EQ(s.quantile(0.5), 50);
  EXPECT_EQ(s.quantile(0.99), 99);
  EXPECT_EQ(s.quantile(0.999), 100);
  EXPECT_EQ(s.quantile(1), 100);
  EXPECT_EQ(s.quantile(0), 1);
  samples more;
  more.add(1'000'000);
  s.add(more);
  EXPECT_EQ(s.count(), 101u);
  EXPECT_EQ(s.quantile(1), 1000);
}

TEST(load, records_of_an_open_loop_are_due_evenly_and_without_drift) {
  EXPECT_EQ(due_ns(0, 3), 0);
  EXPECT_EQ(due_ns(1, 3), 333'333'333);
  EXPECT_EQ(due_ns(3, 3), 1'000'000'000);
  EXPECT_EQ(due_ns(3'000'000'000ULL, 1'000'000), 3'000'000'000'000);  // no overflow on the way
}

TEST(load, payloads_have_their_size_and_are_the_same_each_time) {
  const auto payloads = make_payloads(50, 333);
  EXPECT_EQ(payloads, make_payloads(50, 333));
  EXPECT_GT(std::set<std::string>(payloads.begin(), payloads.end()).size(), 45u);
  for (const std::string& p : payloads) EXPECT_EQ(p.size(), 333u);
}

TEST(load, keys_belong_to_one_partition) {
  load_options options;
  options.keys = 10;
  std::set<std::string> keys;
  for (uint64_t i = 0; i < 1000; ++i) keys.insert(key_of(options, 3, i));
  EXPECT_EQ(keys.size(), 10u);
  for (const std::string& key : keys) EXPECT_TRUE(key.starts_with("3-")) << key;
}

TEST(crowd, all_work_at_once_and_the_first_error_counts) {
  load_progress progress;
  std::atomic<int> done = 0;
  const auto outcome = run_crowd(4,
                                 [&](size_t i) -> result<void> {
                                   ++done;
                                   progress.records += i;
                                   if (i >= 2) return fail(errc::io_error, "number {}", i);
                                   return {};
                                 },
                                 progress, {});
  EXPECT_EQ(done, 4);
  EXPECT_EQ(progress.records, 6u);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().message, "number 2");
}

TEST(report, json_has_every_member_and_null_for_what_was_not_measured) {
  load_options options;
  options.topic = "t";
  load_result seen{.records = 10, .bytes = 1 << 20, .seconds = 2};
  for (int64_t i = 1; i <= 10; ++i) seen.ack_latency.add(i * 1000);
  const auto told = nlohmann::json::parse(load_as_json("produce", options, seen));
  EXPECT_EQ(told["records_per_second"], 5.0);
  EXPECT_EQ(told["mib_per_second"], 0.5);
  EXPECT_EQ(told["ack_latency_us"]["p50"], 5.0);
  EXPECT_EQ(told["ack_latency_us"]["p99_9"], 10.0);
  EXPECT_TRUE(told["end_to_end_latency_us"].is_null());
  EXPECT_TRUE(told["rate"].is_null());
  const std::string text = load_as_text("produce: 10 records", options, seen);
  EXPECT_THAT(text, testing::HasSubstr("5 records/s, 524.3 kB/s"));
  EXPECT_THAT(text, testing::HasSubstr("p99.9 0.01 ms"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("consumed")));
}

TEST(report, a_run_that_saw_nothing_divides_by_nothing) {
  load_options options;
  load_result seen;
  const auto told = nlohmann::json::parse(load_as_json("consume", options, seen));
  EXPECT_EQ(told["records_per_second"], 0.0);
  EXPECT_THAT(load_as_text("consume", options, seen), testing::HasSubstr("0 records/s"));
}

TEST(pace, steps_come_evenly_and_short_delays_are_caught_up_with) {
  pace p(1000);
  EXPECT_EQ(p.next_due_ns(500 * ms), 500 * ms);
  EXPECT_EQ(p.next_due_ns(500 * ms), 501 * ms);
  EXPECT_EQ(p.next_due_ns(550 * ms), 502 * ms);  // late, so at once
  EXPECT_EQ(p.next_due_ns(550 * ms), 503 * ms);
}

TEST(pace, after_a_long_wait_the_rate_holds_again) {
  pace p(1000);
  p.next_due_ns(0);
  // A minute without input: a tenth of a second of it is made up for, no more.
  const int64_t now = 60'000 * ms;
  int at_once = 0;
  while (p.next_due_ns(now) <= now) ++at_once;
  EXPECT_NEAR(at_once, 100, 1);
}

TEST(pace, does_not_drift_where_the_interval_is_no_whole_number) {
  pace p(3);
  int64_t due = 0;
  for (int i = 0; i <= 3000; ++i) due = p.next_due_ns(due);
  EXPECT_EQ(due, 1'000'000 * ms);
}

TEST(rate_window, tells_the_rate_of_the_last_seconds) {
  using namespace std::chrono_literals;
  rate_window rate;
  const rate_window::time_point start{};
  EXPECT_EQ(rate.per_second(), 0);
  rate.add(start, 100);
  EXPECT_EQ(rate.per_second(), 0);
  rate.add(start + 500ms, 150);
  EXPECT_EQ(rate.per_second(), 100);
  for (int i = 1; i <= 10; ++i) rate.add(start + 500ms + i * 1s, 150 + static_cast<uint64_t>(i) * 7);
  EXPECT_EQ(rate.per_second(), 7);  // the burst in the beginning is long gone
}

}  // namespace
}  // namespace millrace::tools
