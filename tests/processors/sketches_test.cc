// Sketches: how far they are off, alone, merged and read back; and in the steps of a stream.
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <millrace/sketches.h>
#include <millrace/stream.h>
#include <optional>
#include <string>
#include <vector>

#include "tests/processors/stream_kit.h"

using millrace::decode;
using millrace::distinct_sketch;
using millrace::encode;
using millrace::heavy_sketch;
using millrace::quantile_sketch;

namespace {

TEST(sketches, quantiles_are_at_most_one_percent_off) {
  quantile_sketch whole, half;
  std::vector<double> values;
  uint64_t state = 3;
  for (int i = 0; i < 20'000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const double unit = static_cast<double>(state >> 11) / 9007199254740992.0;
    values.push_back((i % 3 == 0 ? -1 : 1) * std::pow(10, unit * 14 - 7));
    (i % 2 == 0 ? whole : half).add(values.back());
  }
  whole.merge(half);
  std::sort(values.begin(), values.end());
  std::string bytes;
  whole.encode(bytes);
  EXPECT_LT(bytes.size(), 8192);
  std::string_view rest = bytes;
  const auto read = quantile_sketch::decode(rest);
  EXPECT_TRUE(rest.empty());
  for (const double q : {0.0, 0.01, 0.25, 0.3333, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const double exact = values[static_cast<size_t>(q * 19'999)];
    EXPECT_NEAR(read.quantile(q), exact, std::fabs(exact) * 0.01001) << q;
  }
}

TEST(sketches, distinct_values_are_exact_while_few_and_near_when_many) {
  for (const int many : {0, 1, 128, 129, 1000, 50'000, 300'000}) {
    distinct_sketch a, b;
    for (int i = 0; i < many; ++i) {
      a.add("value " + std::to_string(i));
      if (i % 3 == 0) b.add("value " + std::to_string(i));
    }
    b.merge(a);
    std::string bytes;
    b.encode(bytes);
    std::string_view rest = bytes;
    const auto estimate = static_cast<double>(distinct_sketch::decode(rest).estimate());
    EXPECT_TRUE(rest.empty());
    EXPECT_NEAR(estimate, many, many <= 128 ? 0 : many * 0.07) << many;  // three standard errors
  }
}

TEST(sketches, the_largest_are_found_among_many) {
  heavy_sketch top(3);
  for (int i = 0; i < 9000; ++i) {
    top.add(i % 3 == 0 ? "heavy" : i % 5 == 1 ? "second" : "light " + std::to_string(i), 1);
  }
  const auto found = top.largest();
  ASSERT_EQ(found.size(), 3);
  EXPECT_EQ(found[0].first, "heavy");
  EXPECT_EQ(found[1].first, "second");
  EXPECT_GE(found[0].second.weight, 3000);
  EXPECT_LE(found[0].second.weight - found[0].second.error, 3000);
}

TEST(sketches, what_is_none_is_refused) {
  for (const std::string& bytes : {std::string("\x80"), std::string("\x05"), std::string(20, '\xff')}) {
    std::string_view rest = bytes;
    EXPECT_THROW(quantile_sketch::decode(rest), millrace::failure);
    rest = bytes;
    EXPECT_THROW(distinct_sketch::decode(rest), millrace::failure);
    rest = bytes;
    EXPECT_THROW(heavy_sketch::decode(3, rest), millrace::failure);
  }
}

TEST(sketches, bytes_are_laid_out_as_documented) {
  const std::string one("\x3f\xf0\0\0\0\0\0\0", 8);
  EXPECT_EQ(encode(heavy_sketch(2).add("a")), "\2\1\1a" + one + std::string(8, '\0'));
  // Zeros; one bucket of positive numbers, 40,000 from the least there could be, once; none of negative ones.
  EXPECT_EQ(encode(quantile_sketch().add(0).add(1)), std::string("\1\1\xc0\xb8\2\1\0", 7));
  EXPECT_EQ(encode(distinct_sketch().add("a").add("a")).size(), 9);
  EXPECT_THROW(decode<quantile_sketch>(std::string("\0\0\0\0", 4)), millrace::failure);
  EXPECT_THROW(decode<distinct_sketch>(std::string("\0\0", 2)), millrace::failure);
  EXPECT_THROW(decode<heavy_sketch>(std::string("\1\0\0", 3)), millrace::failure);
}

TEST(sketches, what_is_no_number_has_no_quantile) {
  EXPECT_TRUE(std::isnan(quantile_sketch().quantile(0.5)));
  EXPECT_THROW(quantile_sketch().add(std::numeric_limits<double>::infinity()), millrace::failure);
  EXPECT_THROW(quantile_sketch().add(std::nan("")), millrace::failure);
}

// The median, the number of different values and the most frequent one of each session.
void sketched(millrace::topology& t) {
  const auto by_key = t.from<std::string, double>("in").group_by_key().window(
      millrace::session(std::chrono::milliseconds(10)), millrace::grace(std::chrono::milliseconds(50)));
  const auto both = [](auto a, const auto& b) { return a.merge(b); };
  by_key.emit_on_close()
      .aggregate(
          "medians", quantile_sketch(), [](double v, quantile_sketch s) { return s.add(v); }, both)
      .map_values([](const std::optional<quantile_sketch>& s) {
        return std::to_string(std::lround(s->quantile(0.5)));
      })
      .to("medians");
  by_key.emit_on_close()
      .aggregate(
          "distinct", distinct_sketch(), [](double v, distinct_sketch s) { return s.add(std::to_string(v)); },
          both)
      .map_values([](const std::optional<distinct_sketch>& s) { return std::to_string(s->estimate()); })
      .to("distinct");
  by_key.emit_on_close()
      .aggregate(
          "top", heavy_sketch(1),
          [](double v, heavy_sketch s) { return s.add(std::to_string(std::lround(v))); }, both)
      .map_values([](const std::optional<heavy_sketch>& s) { return s->largest().at(0).first; })
      .to("top");
}

TEST(sketches, are_aggregates_of_windows_that_grow_together) {
  millrace::harness h(stream_kit::table_of<sketched>());
  // The record at 1,010 makes one session of two.
  for (const auto& [value, at] : {std::pair(5.0, 1000), {7.0, 1020}, {50.0, 1021}, {7.0, 1010}, {1.0, 9000}})
    h.feed({"k", encode(value), at, {}});
  EXPECT_TRUE(h.failures().empty());
  EXPECT_EQ(h.values("medians"), std::vector<std::string>{"7"});
  EXPECT_EQ(h.values("distinct"), std::vector<std::string>{"3"});
  EXPECT_EQ(h.values("top"), std::vector<std::string>{"7"});
}

}  // namespace
