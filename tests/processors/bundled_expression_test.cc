// Expressions: what they mean, what is refused before any record, and what is wrong with a record.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include "tests/processors/bundled_kit.h"

using namespace bundled_kit;
using testing::HasSubstr;

namespace {

// What a field with that expression becomes.
std::string value_of(const std::string& expression, const std::string& record = "{}") {
  return one({{"processor", "map"}, {"fields.x", expression}}, record);
}
std::string refusal_of(const std::string& expression) {
  return refusal({{"processor", "map"}, {"fields.x", expression}});
}

TEST(bundled_expression, computes_with_fields) {
  EXPECT_EQ(value_of("speed * 3.6", R"({"speed":10})"), R"({"x":36})");
  EXPECT_EQ(value_of("a.b.c + items[2]", R"({"a":{"b":{"c":1}},"items":[5,6]})"), R"({"x":7})");
  EXPECT_EQ(value_of("record['odd name'] .. '!'", R"({"odd name":"so"})"), R"({"x":"so!"})");
  EXPECT_EQ(value_of("road == \"A1\" and speed > 30", R"({"road":"A1","speed":31})"), R"({"x":true})");
  EXPECT_EQ(value_of("missing or 'none'"), R"({"x":"none"})");
  EXPECT_EQ(value_of("{a = 1, b = {2, 3}}"), R"({"x":{"a":1,"b":[2,3]}})");
  EXPECT_EQ(value_of("meta.key .. meta.offset .. '@' .. meta.timestamp"), R"({"x":"k0@1000"})");
}

TEST(bundled_expression, whole_numbers_stay_whole_and_a_field_stays_as_it_is) {
  EXPECT_EQ(value_of("id + 1", R"({"id":9007199254740993})"), R"({"x":9007199254740994})");
  EXPECT_EQ(value_of("7 // 2 + 7 % 4"), R"({"x":6})");
  EXPECT_EQ(value_of("a", R"({"a":{"z":null,"a":[],"b":[null,1]}})"),
            R"({"x":{"z":null,"a":[],"b":[null,1]}})");
  EXPECT_EQ(value_of("missing"), "{}");
  EXPECT_EQ(value_of("a.b.c", R"({"a":1})"), "{}");
}

TEST(bundled_expression, has_functions) {
  EXPECT_EQ(value_of("{abs(-2), abs(-2.5), floor(2.7), ceil(2.1), round(2.5), round(-2.5), round(2.345, 2)}"),
            R"({"x":[2,2.5,2,3,3,-3,2.35]})");
  EXPECT_EQ(value_of("{min(3, 1.5, 2), max(1, 9007199254740993)}"), R"({"x":[1.5,9007199254740993]})");
  EXPECT_EQ(value_of("{sqrt(16), log(8, 2), exp(0), sin(0), cos(0)}"), R"({"x":[4,3,1,0,1]})");
  EXPECT_EQ(value_of("{lower('AbÉ'), upper('ab'), trim('  a b '), sub('abcdef', 2, 4), sub('abc', -2)}"),
            R"({"x":["abÉ","AB","a b","bcd","bc"]})");
  EXPECT_EQ(value_of("{contains('abc', 'bc'), starts_with('abc', 'b'), ends_with('abc', 'bc')}"),
            R"({"x":[true,false,true]})");
  EXPECT_EQ(value_of("{number('12'), number('1.5'), number('1.5x') == nil, text(12), text(1.5), text(true)}"),
            R"({"x":[12,1.5,true,"12","1.5","true"]})");
  EXPECT_EQ(value_of("{is_number(1), is_number('1'), is_text('1'), is_text(nil)}"),
            R"({"x":[true,false,true,false]})");
  EXPECT_EQ(value_of("#name", R"({"name":"four"})"), R"({"x":4})");
  // A function goes before a field of its name.
  EXPECT_EQ(value_of("max(1, record.max)", R"({"max":3})"), R"({"x":3})");
}

TEST(bundled_expression, what_is_none_is_refused_before_any_record) {
  EXPECT_THAT(refusal_of("speed >"),
              HasSubstr("config.fields.x = \"speed >\": not an expression of Lua: unexpected symbol"));
  EXPECT_THAT(refusal_of("speed != 3"), HasSubstr("\"not equal\" is written ~="));
  EXPECT_THAT(refusal_of("a && b"), HasSubstr("are written as words"));
  EXPECT_THAT(refusal_of("uper(name)"), HasSubstr("there is no function uper; there are abs, ceil"));
  EXPECT_THAT(refusal_of("name:upper()"), HasSubstr("there are no methods"));
  EXPECT_THAT(refusal_of("(function() while true do end end)()"),
              HasSubstr("there are no functions to be written"));
  EXPECT_THAT(refusal_of("a) while true do end return (b"), HasSubstr("not an expression of Lua"));
  EXPECT_THAT(refusal_of("a -- b"), HasSubstr("there are no comments"));
  EXPECT_THAT(refusal_of("a, b"), HasSubstr("not an expression of Lua"));
  EXPECT_THAT(refusal_of(" "), HasSubstr("an expression is expected"));
  EXPECT_THAT(refusal_of(std::string(1000, '(') + "1" + std::string(1000, ')')),
              HasSubstr("not an expression of Lua"));
  EXPECT_THAT(refusal_of("'it''s'"), HasSubstr("not an expression of Lua"));
}

TEST(bundled_expression, what_a_record_does_not_have_or_has_otherwise_is_told) {
  EXPECT_THAT(
      value_of("speed * 2"),
      HasSubstr("fields.x = \"speed * 2\": attempt to perform arithmetic on a nil value (field 'speed')"));
  EXPECT_THAT(value_of("speed > 2", R"({"speed":"fast"})"),
              HasSubstr("attempt to compare number with string"));
  EXPECT_THAT(value_of("speed + 1", R"({"speed":"2"})"),
              HasSubstr("attempt to perform arithmetic on a string value"));
  EXPECT_THAT(value_of("1 / n", R"({"n":0})"), HasSubstr("infinite or not a number"));
  EXPECT_THAT(value_of("1 // n", R"({"n":0})"), HasSubstr("attempt to divide by zero"));
  EXPECT_THAT(value_of("lower(name)"), HasSubstr("string expected, got nil"));
  EXPECT_THAT(value_of("sub(name, 1, 1)", R"({"name":"é"})"), HasSubstr("not UTF-8"));
  EXPECT_THAT(value_of("meta.colour"), HasSubstr("meta has key, timestamp and offset"));
  EXPECT_THAT(one({{"processor", "filter"}, {"keep", "speed"}}, R"({"speed":3})"),
              HasSubstr("keep = \"speed\": true or false is expected, and it is 3"));
}

TEST(bundled_expression, memory_has_a_limit) {
  const std::string big = R"({"a":")" + std::string(8 << 20, 'x') + R"("})";
  std::string doubled = "a";
  for (int i = 0; i < 40; ++i) doubled += " .. a";
  EXPECT_THAT(value_of(doubled + " == 1", big), HasSubstr("more than 256 MiB of memory"));
  EXPECT_EQ(value_of("#a", big), R"({"x":8388608})");
}

}  // namespace
