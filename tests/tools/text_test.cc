#include <gtest/gtest.h>

#include "base/prng.h"
#include "base/time_text.h"
#include "tools/cli/terminal.h"
#include "tools/kafka/start_position.h"
#include "tools/text/duration.h"
#include "tools/text/escape.h"
#include "tools/text/json.h"
#include "tools/text/record_format.h"
#include "tools/text/suggest.h"
#include "tools/text/table.h"

namespace millrace::tools {
namespace {

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(json, escapes_what_json_wants_escaped_and_keeps_utf8) {
  EXPECT_EQ(quoted("a\"b\\c\nd\te\x01"), R"("a\"b\\c\nd\te\u0001")");
  EXPECT_EQ(quoted("grün €𝄞"), "\"grün €𝄞\"");
  EXPECT_EQ(quoted("\xff"), "\"\xef\xbf\xbd\"");
}

TEST(json, tells_utf8_from_other_bytes) {
  for (const std::string_view good : {"", "plain", "é", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_utf8(good));
  for (const std::string_view bad :
       {"\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82"}) {
    EXPECT_FALSE(is_utf8(bad)) << quoted(bad);
  }
}

TEST(json, names_a_member_after_what_its_bytes_are) {
  std::string out;
  json_writer json(out);
  json.begin_object().bytes_member("a", "text").bytes_member("b", std::string_view("\xff\x00", 2));
  json.bytes_member("c", std::nullopt).end_object();
  EXPECT_EQ(out, R"({"a":"text","b_base64":"/wA=","c":null})");
}

TEST(json, base64_comes_back_for_random_bytes) {
  constexpr uint64_t seed = 20261121;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  prng random(seed);
  for (int round = 0; round < 500; ++round) {
    std::string bytes(random.below(64), '\0');
    for (char& c : bytes) c = static_cast<char>(random.next());
    std::string text;
    append_base64(text, bytes);
    ASSERT_EQ(decode_base64(text), bytes) << "seed " << seed;
  }
  for (const std::string_view bad : {"a", "ab=c", "====", "a===", "a b="})
    EXPECT_FALSE(decode_base64(bad)) << bad;
}

TEST(escape, replaces_escapes_and_refuses_unknown_ones) {
  EXPECT_EQ(unescape(R"(a\t\n\\\x41\0)").value(), std::string("a\t\n\\A\0", 6));
  for (const std::string_view bad : {"\\", "\\q", "\\x", "\\x1", "\\xzz"}) EXPECT_FALSE(unescape(bad)) << bad;
}

record_view sample_record() {
  return {.topic = "t",
          .partition = 3,
          .offset = 42,
          .timestamp_ms = 1700,
          .key = "k",
          .value = "value",
          .headers = {{"a", "1"}, {"b", std::nullopt}}};
}

TEST(record_format, prints_every_field) {
  const auto format = record_format::parse("%t|%p|%o|%T|%k|%K|%s|%S|%h|%R|100%%\\n");
  ASSERT_TRUE(format) << to_string(format.error());
  std::string out;
  format->append(out, sample_record());
  EXPECT_EQ(out, std::string("t|3|42|1700|k|1|value|5|a=1,b=|\0\0\0\5|100%\n", 41));
}

TEST(record_format, shows_null_as_nothing_with_length_minus_one) {
  record_view record = sample_record();
  record.key = record.value = std::nullopt;
  std::string out;
  record_format::parse("[%k][%s]%K%S")->append(out, record);
  EXPECT_EQ(out, "[][]-1-1");
}

TEST(record_format, an_escaped_backslash_does_not_hide_a_field) {
  std::string out;
  record_format::parse("\\\\%p")->append(out, sample_record());
  EXPECT_EQ(out, "\\3");
}

TEST(record_format, refuses_unknown_fields_and_escapes) {
  for (const std::string_view bad : {"%", "%z", "%s\\q"}) EXPECT_FALSE(record_format::parse(bad)) << bad;
}

TEST(duration, reads_what_people_and_iso_8601_write) {
  for (const auto& [text, ms] : {std::pair("500ms", int64_t{500}),
                                 {"90s", 90'000},
                                 {"1h30m", 5'400'000},
                                 {"7d", 604'800'000},
                                 {"PT15M", 900'000},
                                 {"P1DT2H30M", 95'400'000},
                                 {"P2W", 1'209'600'000},
                                 {"PT0S", 0}}) {
    const auto got = parse_duration_ms(text);
    ASSERT_TRUE(got) << text;
    EXPECT_EQ(*got, ms) << text;
  }
  for (const char* text : {"", "P", "PT", "5", "h", "-5s", "1y", "P1M", "P1H", "PT1D", "1h 30m",
                           "9999999999d", "9223372036854775808s", "PTT1S", "1hh"}) {
    EXPECT_FALSE(parse_duration_ms(text)) << text;
  }
}

TEST(suggest, finds_the_word_that_was_meant) {
  const std::vector<std::string> words = {"list", "create", "describe", "delete"};
  EXPECT_EQ(nearest("lsit", words), "list");
  EXPECT_EQ(nearest("crate", words), "create");
  EXPECT_EQ(nearest("desc", words), "describe");
  EXPECT_EQ(nearest("zzz", words), std::nullopt);
  EXPECT_EQ(nearest("de", words), std::nullopt);  // two begin like that
}

TEST(suggest, counts_edits) {
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("ab", "ba"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(start_position, reads_every_form) {
  for (const std::string_view good :
       {"beginning", "end", "stored", "0", "1234", "-10", "@1700000000000", "s@5"}) {
    EXPECT_TRUE(start_position::parse(good)) << good;
  }
  for (const std::string_view bad : {"", "middle", "12x", "@", "@yesterday", "--1"}) {
    EXPECT_FALSE(start_position::parse(bad)) << bad;
  }
}

TEST(start_position, reads_times_in_their_zones) {
  EXPECT_EQ(parse_time_ms("1970-01-02").value(), 86'400'000);
  EXPECT_EQ(parse_time_ms("2026-01-31T12:00:00Z").value(), 1'769'860'800'000);
  EXPECT_EQ(parse_time_ms("2026-01-31T13:00:00.250+01:00").value(), 1'769'860'800'250);
  EXPECT_EQ(parse_time_ms("2026-01-31 06:30:00-0530").value(), 1'769'860'800'000);
  EXPECT_FALSE(parse_time_ms("2026-01-31T12:00:00 soon"));
}

TEST(table, aligns_and_trims) {
  table rows({{"NAME"}, {"N", table::align::right}, {"NOTE"}});
  rows.add({"a", "1", ""});
  rows.add({"grün", "1000", "x"});
  EXPECT_EQ(rows.render(false), "NAME     N  NOTE\na        1\ngrün  1000  x\n");
}

TEST(terminal, writes_sizes_for_people) {
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(999'999), "1.0 MB");
  EXPECT_EQ(human_bytes(1'234'567), "1.2 MB");
  EXPECT_EQ(with_thousands(0), "0");
  EXPECT_EQ(with_thousands(1234567), "1,234,567");
}

TEST(record_format, bytes_that_cannot_be_read_come_as_hex_if_asked_for) {
  const record_view record{.topic = "t",
                           .key = std::string_view("\x00\xff", 2),
                           .value = "gr\xc3\xbcn\n",
                           .headers = {{"h", "\x1b[1m"}, {"n", std::nullopt}}};
  const auto shown = [&](rendering as) {
    std::string out;
    record_format::parse("%k|%s|%h|%K", as)->append(out, record);
    return out;
  };
  EXPECT_EQ(shown(rendering::raw), std::string("\x00\xff|gr\xc3\xbcn\n|h=\x1b[1m,n=|2", 21));
  EXPECT_EQ(shown(rendering::hex), "00ff|6772c3bc6e0a|h=1b5b316d,n=|2");
  EXPECT_EQ(shown(rendering::either), "0x00ff|gr\xc3\xbcn\n|h=0x1b5b316d,n=|2");
}

}  // namespace
}  // namespace millrace::tools
