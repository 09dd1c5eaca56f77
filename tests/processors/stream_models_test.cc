// The models of windows and joins: they agree with what the SDK makes of the same records, whatever calls
// those are cut into, and with nothing else.
#include "tests/processors/stream_models.h"

#include <millrace/harness.h>

#include "base/prng.h"

namespace millrace::processors {
namespace {

using namespace kit;
using millrace::harness;

using options = std::map<std::string, std::string>;

const millrace_processor* table_of(const std::string& code) {
  static const std::map<std::string, std::shared_ptr<const plugin>> all{
      {"windowed sums", code_of_steps<windowed_sums, windowed_sums_names>()},
      {"joined", code_of_steps<joined, joined_names>()},
      {"across", code_of_steps<across, across_names>()}};
  return &all.at(code)->table();
}

// Out of order, with pauses, standing still now and then, some records much too late.
std::vector<model_record> records_of(uint64_t seed, bool has_two_inputs) {
  prng random(seed);
  std::vector<model_record> all;
  int64_t now = 1000;
  for (int i = 0; i < 400; ++i) {
    if (random.below(3) > 0) now += random.between(0, 6);
    if (random.below(80) == 0) now += 1000;
    int64_t at = now;
    if (random.below(3) == 0) at -= random.between(0, 60);
    if (random.below(20) == 0) at -= random.between(0, 900);
    all.push_back({"k" + std::to_string(random.below(3)), std::to_string(i), at,
                   has_two_inputs && random.below(2) == 0});
  }
  return all;
}

struct made {
  std::map<std::string, std::vector<seen_record>> rows;  // by output
  model_rows expected;
  std::string difference() const {
    for (const auto& [output, there] : rows)
      if (const std::string found = expected.difference(output, there); !found.empty()) return found;
    return {};
  }
};

made make(const std::string& code, uint64_t seed) {
  prng random(seed);
  options with{{"salt", std::to_string(random.below(100))}, {"on_close", std::to_string(seed % 8)}};
  for (const char* name : {"before", "after", "grace"}) with[name] = std::to_string(random.below(60));
  for (const char* name : {"gap", "difference"}) with[name] = std::to_string(1 + random.below(20));
  const int64_t size = random.between(1, 100);
  with["size"] = std::to_string(size);
  with["advance"] = std::to_string(random.between(size / 4 + 1, size));
  const std::vector<model_record> records = records_of(seed, code == "across");
  made all;
  all.expected = modelled(code, with, records).value();
  harness h(table_of(code), with);
  for (uint32_t i = 0; i < table_of(code)->output_count; ++i) all.rows[table_of(code)->outputs[i]];
  std::vector<harness::input> input;
  for (const model_record& r : records) {
    input.push_back({r.key, r.value, r.at_ms, {}});
    if (code == "across") input.back().from = r.is_right ? "right" : "left";
  }
  h.feed_all(input, random.next());
  for (const harness::emitted& e : h.output()) {
    std::string headers;
    for (const auto& [key, value] : e.headers) headers += value.value_or("");
    all.rows[e.output].push_back({e.key.value(), e.value.value(), e.timestamp_ms, headers});
  }
  return all;
}

class stream_models_test : public testing::TestWithParam<const char*> {};

TEST_P(stream_models_test, agree_with_the_sdk) {
  size_t rows = 0;
  for (uint64_t seed = 1; seed <= 80; ++seed) {
    const made all = make(GetParam(), seed);
    ASSERT_EQ(all.difference(), "") << "seed " << seed;
    for (const auto& [output, there] : all.rows) rows += there.size();
  }
  EXPECT_GT(rows, 2000u);
}

// A result twice, one that is missing, one that is something else or is of another time, and two that come in
// the order of other records.
TEST_P(stream_models_test, agree_with_nothing_else) {
  size_t tried = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const made good = make(GetParam(), seed);
    prng random(seed);
    for (const auto& [output, rows] : good.rows) {
      if (rows.size() < 2) continue;
      const auto at = static_cast<ptrdiff_t>(random.below(rows.size()));
      const auto spoilt = [&](auto change) {
        made bad = good;
        change(bad.rows[output]);
        return bad.difference();
      };
      using list = std::vector<seen_record>;
      EXPECT_NE(spoilt([&](list& all) { all.insert(all.begin() + at, list(all)[static_cast<size_t>(at)]); }),
                "");
      EXPECT_NE(spoilt([&](list& all) { all.erase(all.begin() + at); }), "");
      EXPECT_NE(spoilt([&](list& all) { all[static_cast<size_t>(at)].value += "0"; }), "");
      EXPECT_NE(spoilt([&](list& all) { ++all[static_cast<size_t>(at)].timestamp_ms; }), "");
      if (!(rows.front() == rows.back()))
        EXPECT_NE(spoilt([](list& all) { std::swap(all.front(), all.back()); }), "");
      ++tried;
    }
  }
  EXPECT_GT(tried, 15u);
}

INSTANTIATE_TEST_SUITE_P(each, stream_models_test, testing::Values("windowed sums", "joined", "across"),
                         [](const auto& info) { return std::string(info.param).substr(0, 6); });

}  // namespace
}  // namespace millrace::processors
