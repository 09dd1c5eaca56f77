#include "tools/text/record_input.h"

#include <gtest/gtest.h>
#include <thread>
#include <unistd.h>

#include "base/prng.h"

namespace millrace::tools {
namespace {

// What a split_reader makes of `text` when it arrives through a pipe in pieces of `step` bytes.
std::vector<std::string> split(const std::string& text, const std::string& delimiter, size_t step) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  std::thread writer([&] {
    for (size_t at = 0; at < text.size(); at += step) {
      const size_t size = std::min(step, text.size() - at);
      ASSERT_EQ(::write(ends[1], text.data() + at, size), static_cast<ssize_t>(size));
    }
    ::close(ends[1]);
  });
  std::vector<std::string> pieces;
  split_reader reader(ends[0], delimiter, [] {});
  while (true) {
    const auto piece = reader.next();
    EXPECT_TRUE(piece);
    if (!piece || !*piece) break;
    pieces.emplace_back(**piece);
  }
  writer.join();
  ::close(ends[0]);
  EXPECT_EQ(reader.bytes_read(), text.size());
  return pieces;
}

using pieces = std::vector<std::string>;

TEST(split_reader, a_last_line_without_newline_counts_and_an_empty_one_does_not) {
  EXPECT_EQ(split("a\nb\n", "\n", 100), (pieces{"a", "b"}));
  EXPECT_EQ(split("a\nb", "\n", 100), (pieces{"a", "b"}));
  EXPECT_EQ(split("\n\n", "\n", 100), (pieces{"", ""}));
  EXPECT_EQ(split("", "\n", 100), pieces{});
}

TEST(split_reader, an_empty_delimiter_takes_the_whole) {
  EXPECT_EQ(split("a\nb\n", "", 1), (pieces{"a\nb\n"}));
}

TEST(split_reader, finds_delimiters_however_the_bytes_arrive) {
  constexpr uint64_t seed = 7;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  prng random(seed);
  for (int round = 0; round < 60; ++round) {
    const std::string delimiter = round % 2 ? "--" : "\n";
    pieces expected;
    std::string text;
    for (uint64_t i = 0, n = random.below(20) + 1; i < n; ++i) {
      expected.emplace_back(random.below(2000) + 1, static_cast<char>('a' + random.below(26)));
      text += expected.back() + delimiter;
    }
    ASSERT_EQ(split(text, delimiter, random.below(700) + 1), expected)
        << "seed " << seed << " round " << round;
  }
}

outgoing_record parsed(record_parser& parser, std::string_view piece) {
  const auto record = parser.parse(piece);
  EXPECT_TRUE(record) << to_string(record.error());
  return record.value_or(outgoing_record{});
}

TEST(record_parser, a_line_is_a_value_and_maybe_a_key) {
  record_parser plain({});
  EXPECT_EQ(parsed(plain, "a:b").value, "a:b");
  EXPECT_EQ(parsed(plain, "a:b").key, std::nullopt);
  EXPECT_EQ(parsed(plain, "").value, "");

  record_parser keyed({.key_separator = ":"});
  EXPECT_EQ(parsed(keyed, "a:b:c").key, "a");
  EXPECT_EQ(parsed(keyed, "a:b:c").value, "b:c");
  EXPECT_FALSE(keyed.parse("no key"));

  record_parser nulls({.key_separator = ":", .is_empty_null = true});
  EXPECT_EQ(parsed(nulls, ":").key, std::nullopt);
  EXPECT_EQ(parsed(nulls, "a:").value, std::nullopt);
}

TEST(record_parser, reads_json_in_the_shape_that_consume_prints) {
  record_parser parser({.format = input_format::json});
  const outgoing_record record = parsed(
      parser, R"({"topic":"t","offset":9,"partition":2,"timestamp":77,"key":null,"value_base64":"/wA=",)"
              R"("headers":[{"name":"h","value":"x"},{"name":"n","value":null}]})");
  EXPECT_EQ(record.key, std::nullopt);
  EXPECT_EQ(record.value, std::string_view("\xff\0", 2));
  EXPECT_EQ(record.partition, 2);
  EXPECT_EQ(record.timestamp_ms, 77);
  ASSERT_NE(record.headers, nullptr);
  EXPECT_EQ(*record.headers, (std::vector<owned_header>{{"h", "x"}, {"n", std::nullopt}}));
}

TEST(record_parser, a_json_value_that_is_no_string_is_stored_as_its_text) {
  record_parser parser({.format = input_format::json});
  EXPECT_EQ(parsed(parser, R"({"value": {"b": 1, "a": [true]}})").value, R"({"b":1,"a":[true]})");
}

TEST(record_parser, refuses_json_that_is_no_record) {
  record_parser parser({.format = input_format::json});
  for (const std::string_view bad :
       {"", "x", "[]", "{\"valeu\": 1}", R"({"value_base64": "x"})", R"({"partition": "1"})",
        R"({"partition": -7})", R"({"headers": {}})", R"({"headers": [{}]})", R"({"headers": ["a"]})",
        R"({"timestamp": 1.5})"}) {
    EXPECT_FALSE(parser.parse(bad)) << bad;
  }
}

}  // namespace
}  // namespace millrace::tools
