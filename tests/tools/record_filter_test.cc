#include "tools/text/record_filter.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace millrace::tools {
namespace {

bool passes(const std::vector<std::string>& expressions, const record_view& record) {
  const auto filter = record_filter::parse(expressions);
  if (!filter) {
    ADD_FAILURE() << filter.error().message;
    return false;
  }
  return filter->matches(record);
}

record_view with_value(std::optional<std::string_view> value) {
  return {
      .topic = "t", .key = "user-7", .value = value, .headers = {{"trace", "abc"}, {"n.o", std::nullopt}}};
}

TEST(record_filter, keys_values_and_headers_are_compared_as_bytes) {
  const record_view record = with_value("all is well");
  for (const std::string yes :
       {"key=user-7", "key~^user", "key~7$", "key!~^eu", "value=all is well", "value~is", "value!=", "value",
        "header:trace=abc", "header:trace", "header:n.o", "header:n.o=", "header:none!=x", "header:none!~x"})
    EXPECT_TRUE(passes({yes}, record)) << yes;
  for (const std::string no : {"key=user", "key!=user-7", "key!~user", "value=", "value~^is", "header:none",
                               "header:none=", "header:trace~b$", "header:trace!=abc"})
    EXPECT_FALSE(passes({no}, record)) << no;
  EXPECT_FALSE(passes({"value"}, with_value(std::nullopt)));
  EXPECT_TRUE(passes({"value!=x"}, with_value(std::nullopt)));
  EXPECT_TRUE(passes({"value"}, with_value("")));
}

TEST(record_filter, a_path_looks_into_json) {
  const record_view record =
      with_value(R"({"user":{"name":"Ann","age":42},"items":[{"sku":"a"},{"sku":"b"}],"a.b":1.0,)"
                 R"("ok":true,"big":9007199254740993,"none":null})");
  for (const std::string yes :
       {"value.user.name=Ann", "$.user.name~^A", "value.user.age>=42", "value.user.age<43",
        "value.user.age>41.5", "value.user.age=42", "value.items[1].sku=b", "value['a.b']=1", "value.ok=true",
        "value.none=null", "value.user", "value.none", "value.big=9007199254740993", "value.items[2]!=x",
        "value.user={\"age\":42,\"name\":\"Ann\"}"})
    EXPECT_TRUE(passes({yes}, record)) << yes;
  for (const std::string no : {"value.user.name=Bob", "value.user.age<42", "value.user.name>1",
                               "value.items[2]", "value.items.sku", "value[0]", "value.user.name.first",
                               "value.big=9007199254740992", "value.missing=", "value.user.age!=42"})
    EXPECT_FALSE(passes({no}, record)) << no;
  EXPECT_FALSE(passes({"value.user"}, with_value("no json")));
  EXPECT_FALSE(passes({"value.user"}, with_value(std::nullopt)));
  EXPECT_TRUE(passes({"value[1]=2"}, with_value("[1, 2]")));
}

TEST(record_filter, numbers_without_a_path_are_the_whole) {
  EXPECT_TRUE(passes({"value>10", "value<=11"}, with_value("11")));
  EXPECT_FALSE(passes({"value>10"}, with_value("11 apples")));
  EXPECT_FALSE(passes({"value=11"}, with_value("11.0"))) << "bytes are bytes";
}

TEST(record_filter, all_of_them_have_to_hold) {
  EXPECT_TRUE(passes({}, with_value("x")));
  EXPECT_TRUE(passes({"key~user", "value=x"}, with_value("x")));
  EXPECT_FALSE(passes({"key~user", "value=y"}, with_value("x")));
}

TEST(record_filter, what_is_none_is_told) {
  for (const std::string bad :
       {"", "keys=1", "valu=1", "value.", "value..a=1", "value[x]=1", "value[-1]", "value[1=2", "value['a=1",
        "header:=x", "value.a<b", "value~(", "key?x", "header:"}) {
    const auto filter = record_filter::parse({bad});
    ASSERT_FALSE(filter) << bad;
    EXPECT_EQ(filter.error().code, errc::invalid_argument) << bad;
  }
}

TEST(record_filter, takes_any_bytes) {
  constexpr uint64_t seed = 20261130;
  prng random(seed);
  const auto filter = record_filter::parse({"value.a.b[3]!=x", "key!~^a+$", "value!~\\xff"});
  ASSERT_TRUE(filter);
  constexpr std::string_view alphabet = "{}[]\",:ab\\0123.eE-\xff\xc3 ";
  for (int round = 0; round < 3000; ++round) {
    std::string bytes(random.below(40), '\0');
    for (char& c : bytes) c = alphabet[random.below(alphabet.size())];
    filter->matches(with_value(bytes));
  }
  filter->matches(with_value(std::string(100'000, '[')));
}

}  // namespace
}  // namespace millrace::tools
