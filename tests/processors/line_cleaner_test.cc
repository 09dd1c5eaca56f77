// The example line_cleaner, record by record.
#include "processors/examples/line_cleaner/line_cleaner.cc"

#include <gtest/gtest.h>

#include "tests/processors/processor_kit.h"

namespace millrace::processors {
namespace {

class line_cleaner_test : public testing::Test {
 protected:
  // What becomes of one line: "clean VALUE" or "rejected REASON [COLUMN]".
  std::string clean(std::string_view line, std::map<std::string, std::string> options = {}) {
    options.emplace("columns", "name:text, size:number?, \"a,b:text?\"");
    const auto code = plugin::wrap(millrace_processor_entry(1)).value();
    const auto deployed = deployment::assemble({kit::spec_for(*code, "c", "in", std::move(options))}, {code});
    if (!deployed) return deployed.error().message;
    auto made = instance::create(*deployed->processors()[0], 0).value();
    millrace_record one = kit::record(line);
    if (line == "<null>") one.value = kit::null_bytes;
    EXPECT_FALSE(made->run(std::span(&one, 1)).failure);
    EXPECT_EQ(made->output().count(), 1u);
    const emitted_record out = made->output().at(0);
    EXPECT_EQ(kit::text(out.key), "k");
    if (out.output == 0) return "clean " + kit::text(out.value);
    EXPECT_EQ(kit::text(out.value), line);
    std::string verdict = "rejected";
    for (const millrace_header& h : out.headers) verdict += " " + kit::text(h.value);
    return verdict;
  }
};

TEST_F(line_cleaner_test, good_lines_become_objects) {
  EXPECT_EQ(clean("x,1,y"), R"(clean {"name":"x","size":1,"a,b":"y"})");
  EXPECT_EQ(clean(" x\t, -1.5e+3 ,\r"), R"(clean {"name":"x","size":-1.5e+3,"a,b":null})");
  EXPECT_EQ(clean(R"("a ""quoted"", x" , 0,)"), R"(clean {"name":"a \"quoted\", x","size":0,"a,b":null})");
  EXPECT_EQ(clean("é\x01\\,,"), R"(clean {"name":"é\u0001\\","size":null,"a,b":null})");
  EXPECT_EQ(clean("x;1;2", {{"separator", ";"}}), R"(clean {"name":"x","size":1,"a,b":"2"})");
}

TEST_F(line_cleaner_test, bad_lines_are_rejected_with_their_reason) {
  EXPECT_EQ(clean("<null>"), "rejected null value");
  EXPECT_EQ(clean(""), "rejected wrong number of fields");
  EXPECT_EQ(clean("a,b"), "rejected wrong number of fields");
  EXPECT_EQ(clean("a,1,b,c"), "rejected wrong number of fields");
  EXPECT_EQ(clean(",1,b"), "rejected empty name");
  for (const char* number : {"01", "1.", ".5", "+1", "1e", "0x1", "1 2", "-", "NaN"})
    EXPECT_EQ(clean(std::string("a,") + number + ","), "rejected not a number size") << number;
  EXPECT_EQ(clean("\"a,1,b"), "rejected unterminated quote");
  EXPECT_EQ(clean("\"a\"x,1,b"), "rejected text after a closing quote");
  for (const char* bytes : {"\xff,,", "\xc0\x80,,", "\xed\xa0\x80,,", "\xf4\x90\x80\x80,,", "\xe2\x82"})
    EXPECT_EQ(clean(bytes), "rejected not UTF-8") << bytes;
}

TEST_F(line_cleaner_test, bad_options_do_not_start) {
  EXPECT_EQ(clean("", {{"columns", ""}}),
            "processor c does not start on partition 0: columns: \"\" is not name:text or name:number");
  EXPECT_EQ(clean("", {{"columns", "a:date"}}),
            "processor c does not start on partition 0: columns: \"a:date\" is not name:text or name:number");
  EXPECT_EQ(clean("", {{"separator", "--"}}),
            "processor c does not start on partition 0: separator must be one character, not a quote");
}

}  // namespace
}  // namespace millrace::processors
