#include "tools/cli/manual.h"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Key;

TEST(manual, has_a_page_for_the_program_and_for_each_of_its_verbs) {
  CLI::App root("All of it", "tool");
  root.footer("Examples:\n  tool shape cut paper");
  CLI::App* shape = root.add_subcommand("shape", "Bend and cut");
  CLI::App* cut = shape->add_subcommand("cut", "Cut things");
  int depth = 3;
  std::string how;
  std::vector<std::string> what;
  cut->add_option("THING", what, "What to cut")->required();
  cut->add_option("-d,--depth", depth, "How deep,\n.in mm")->type_name("N")->capture_default_str();
  cut->add_option("--how", how, "With what")->check(CLI::IsMember(std::vector<std::string>{"knife", "saw"}));
  cut->footer("Examples:\n  tool shape cut 'a\\b' --how saw");
  root.add_subcommand("secret", "Not shown")->group("");

  const auto pages = manual_pages(root, "1.2");
  EXPECT_THAT(pages, ElementsAre(Key("tool-shape.1"), Key("tool.1")));
  const std::string& page = pages.at("tool-shape.1");
  EXPECT_THAT(page, HasSubstr(".TH TOOL\\-SHAPE 1 \"\" \"Millrace 1.2\" \"Millrace\"\n.SH NAME\ntool\\-shape "
                              "\\- Bend and cut\n"));
  EXPECT_THAT(page, HasSubstr("\\fBtool shape cut\\fR [\\fIOPTION\\fR]... \\fITHING\\fR...\n"));
  // A line of text that begins with a dot is text, not a command to man.
  EXPECT_THAT(
      page,
      HasSubstr(".TP\n\\fB\\-d\\fR, \\fB\\-\\-depth\\fR \\fIN\\fR\nHow deep,\n\\&.in mm (default: 3)\n"));
  EXPECT_THAT(page, HasSubstr("\\fB\\-\\-how\\fR \\fI{knife,saw}\\fR\n"));
  EXPECT_THAT(page, HasSubstr("  tool shape cut 'a\\eb' \\-\\-how saw\n.fi\n"));
  EXPECT_THAT(pages.at("tool.1"), HasSubstr(".BR tool\\-shape (1)\nBend and cut\n"));
  EXPECT_THAT(pages.at("tool.1"), testing::Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace millrace::tools
