// Values as bytes and back, and JSON.
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <millrace/json.h>
#include <millrace/serde.h>
#include <string>
#include <vector>

namespace {

struct point {
  int x = 0;
  int y = 0;
};

std::string why(const char* text) {
  try {
    millrace::json::parse(text);
  } catch (const millrace::failure& e) {
    return e.what();
  }
  return "";
}

template <class T>
std::string why_not(std::string_view bytes) {
  try {
    millrace::decode<T>(bytes);
  } catch (const millrace::failure& e) {
    return e.what();
  }
  return "";
}

}  // namespace

template <>
struct millrace::serde<point> {
  static void encode(const point& from, std::string& to) {
    to += std::to_string(from.x) + "/" + std::to_string(from.y);
  }
  static point decode(std::string_view from) {
    const auto slash = from.find('/');
    if (slash == std::string_view::npos) throw failure("not a point");
    return {std::stoi(std::string(from.substr(0, slash))), std::stoi(std::string(from.substr(slash + 1)))};
  }
};

namespace {

using millrace::decode;
using millrace::encode;
using millrace::json;
using namespace std::string_literals;

TEST(serde_test, numbers_are_kafkas) {
  EXPECT_EQ(encode(std::int64_t{-2}), "\xff\xff\xff\xff\xff\xff\xff\xfe"s);
  EXPECT_EQ(encode(std::int32_t{258}), "\0\0\1\2"s);
  EXPECT_EQ(encode(1.5), "\x3f\xf8\0\0\0\0\0\0"s);
  EXPECT_EQ(encode(1.5f), "\x3f\xc0\0\0"s);
  for (const std::int64_t n : {INT64_MIN, std::int64_t{-1}, std::int64_t{0}, INT64_MAX})
    EXPECT_EQ(decode<std::int64_t>(encode(n)), n);
  EXPECT_EQ(decode<std::int32_t>(encode(std::int32_t{INT32_MIN})), INT32_MIN);
  EXPECT_EQ(decode<double>(encode(-0.1)), -0.1);
  EXPECT_TRUE(std::isnan(decode<double>(encode(std::nan("")))));
  EXPECT_EQ(why_not<std::int64_t>("1234"), "not an integer: 4 bytes instead of 8");
  EXPECT_EQ(why_not<double>(""), "not a floating-point number: 0 bytes instead of 8");
}

TEST(serde_test, ordered_integers_sort_as_bytes) {
  std::string last;
  for (const std::int64_t n : {INT64_MIN, std::int64_t{-300}, std::int64_t{-1}, std::int64_t{0},
                               std::int64_t{1}, std::int64_t{255}, std::int64_t{256}, INT64_MAX}) {
    const std::string bytes = encode(millrace::ordered<std::int64_t>(n));
    EXPECT_LT(last, bytes) << n;
    EXPECT_EQ(decode<millrace::ordered<std::int64_t>>(bytes), n);
    last = bytes;
  }
}

TEST(serde_test, text_is_utf8) {
  for (const std::string& good : {""s, "a\0b"s, "\xc3\xa9"s, "\xe2\x82\xac"s, "\xf0\x9f\x98\x80"s})
    EXPECT_EQ(decode<std::string>(good), good);
  for (const std::string& bad : {"\x80"s, "\xc3"s, "\xc0\x80"s, "\xe0\x80\x80"s, "\xed\xa0\x80"s,
                                 "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s, "\xe2\x82"s})
    EXPECT_EQ(why_not<std::string>(bad), "not a text: it is not UTF-8");
}

TEST(serde_test, raw_bytes_and_types_of_ones_own) {
  EXPECT_EQ(decode<millrace::raw>("\xff\0x"s).bytes, "\xff\0x"s);
  EXPECT_EQ(encode(millrace::raw{"x"}), "x");
  EXPECT_EQ(encode(point{3, -4}), "3/-4");
  EXPECT_EQ(decode<point>("3/-4").y, -4);
  EXPECT_EQ(why_not<point>("3"), "not a point");
}

TEST(json_test, what_is_read_is_written) {
  for (const char* text : {"null", "true", "-12", "9223372036854775807", "0.5", "\"\"", "[]", "{}",
                           R"({"b":[1,{"a":"x"},null],"a":false})", R"("\"\\\n\t\u0001é")"})
    EXPECT_EQ(encode(json::parse(text)), text);
  EXPECT_EQ(encode(json::parse(" { \"a\" : [ 1 , 2 ] } \n")), R"({"a":[1,2]})");
  EXPECT_EQ(json::parse(R"("\ud83d\ude00\u00e9\/")").text(), "\xf0\x9f\x98\x80\xc3\xa9/");
  EXPECT_EQ(encode(json::parse(R"({"a":1,"b":2,"a":3})")), R"({"a":3,"b":2})");
  EXPECT_EQ(encode(json::parse(R"({"c":0,"a":1,"b":2,"a":3,"c":4,"a":5,"d":6,"b":7})")),
            R"({"c":4,"a":5,"b":7,"d":6})");
  EXPECT_TRUE(json::parse("1e3").is_number());
  EXPECT_FALSE(json::parse("1e3").is_whole());
  EXPECT_EQ(json::parse("99999999999999999999").number(), 1e20);
  EXPECT_EQ(encode(json(-0.0)), "0");
}

TEST(json_test, members_and_elements) {
  json order;
  order["customer"] = "Ada";
  order["lines"].push_back(json::object());
  order["total"] = 2.25;
  EXPECT_EQ(encode(order), R"({"customer":"Ada","lines":[{}],"total":2.25})");
  const json same = decode<json>(encode(order));
  EXPECT_EQ(same, order);
  EXPECT_EQ(same["customer"].text(), "Ada");
  EXPECT_TRUE(same["absent"].is_null());
  EXPECT_EQ(same["total"].number(), 2.25);
  EXPECT_THROW(same["customer"].number(), millrace::failure);
  EXPECT_THROW(same["customer"]["first"], millrace::failure);
  EXPECT_THROW(encode(json(std::numeric_limits<double>::infinity())), millrace::failure);
  EXPECT_THROW(encode(json("\xff")), millrace::failure);
}

TEST(json_test, a_member_is_taken_out) {
  json order = json::parse(R"({"a":1,"b":2,"c":3})");
  EXPECT_TRUE(order.remove("b"));
  EXPECT_FALSE(order.remove("b"));
  EXPECT_FALSE(json(1).remove("b"));
  EXPECT_EQ(encode(order), R"({"a":1,"c":3})");
}

TEST(json_test, what_is_no_json_is_refused) {
  EXPECT_EQ(why(""), "not JSON: a value is expected (byte 0)");
  EXPECT_EQ(why("{} x"), "not JSON: there is something behind the value (byte 3)");
  EXPECT_EQ(why("[1,]"), "not JSON: a value is expected (byte 3)");
  EXPECT_EQ(why("{\"a\" 1}"), "not JSON: a colon is expected (byte 5)");
  EXPECT_EQ(why("\xff"), "not JSON: it is not UTF-8");
  for (const char* bad : {"[",
                          "{",
                          "[1",
                          "{\"a\":1",
                          "01",
                          "-",
                          "1.",
                          "1e",
                          "+1",
                          ".5",
                          "nul",
                          "\"",
                          "\"\\x\"",
                          "\"\\u12\"",
                          "\"\\ud800\"",
                          "\"\\udc00\"",
                          "\"\\ud800\\u0041\"",
                          "\"\n\"",
                          "{1:2}",
                          "[1 2]",
                          "1e999",
                          "'a'"})
    EXPECT_NE(why(bad), "") << bad;
  EXPECT_EQ(why(std::string(100, '[').c_str()).substr(0, 29), "not JSON: a value is expected");
  EXPECT_EQ(why(std::string(200, '[').c_str()).substr(0, 32), "not JSON: it is nested too deepl");
}

}  // namespace
