// What Tab offers, by declarations like those of the verbs.
#include "tools/cli/completion.h"

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>

namespace millrace::tools {
namespace {

class completion : public ::testing::Test {
 protected:
  completion() {
    root_.name("millrace");
    CLI::App* topic = root_.add_subcommand("topic", "Topics\nand more");
    topic->add_subcommand("list", "Show all")->alias("ls");
    CLI::App* remove = topic->add_subcommand("delete", "Delete topics");
    remove->add_option("TOPIC", names_);
    remove->add_flag("-y,--yes", sure_, "Do not ask");
    CLI::App* produce = root_.add_subcommand("produce", "Write records");
    produce->add_option("TOPIC", topic_);
    produce->add_option("FILE", names_);
    produce->add_option("-z,--codec", codec_)->check(CLI::IsMember({"none", "gzip"}));
    produce->add_option("--key", codec_);
    CLI::App* consume = root_.add_subcommand("consume", "Read records");
    consume->add_option("-g,--group", codec_);
    consume->add_option_group("Where")->add_option("--from-file", codec_)->type_name("FILE");
  }

  std::vector<std::string> words(const std::vector<std::string>& line) {
    std::vector<std::string> found;
    const cluster_names names{.topics = [] { return std::vector<std::string>{"orders", "events"}; },
                              .groups = [] { return std::vector<std::string>{"billing"}; }};
    const offers all = complete(root_, line, names);
    for (const offer& one : all.words) found.push_back(one.word);
    if (all.files_too) found.push_back(":files");
    return found;
  }

  using list = std::vector<std::string>;
  CLI::App root_;
  std::vector<std::string> names_;
  std::string topic_, codec_;
  bool sure_ = false;
};

TEST_F(completion, verbs_by_their_beginnings) {
  EXPECT_EQ(words({""}), (list{"topic", "produce", "consume"}));
  EXPECT_EQ(words({"p"}), (list{"produce"}));
  EXPECT_EQ(words({"topic", ""}), (list{"list", "delete"}));
  EXPECT_EQ(words({"nonsense", ""}), (list{"topic", "produce", "consume"}));
}

TEST_F(completion, options_and_those_of_groups) {
  EXPECT_EQ(words({"topic", "delete", "--y"}), (list{"--yes"}));
  EXPECT_EQ(words({"consume", "--fr"}), (list{"--from-file"}));
  EXPECT_EQ(words({"topic", "delete", "--", "-"}), (list{}));
}

TEST_F(completion, values_of_options) {
  EXPECT_EQ(words({"produce", "--codec", ""}), (list{"none", "gzip"}));
  EXPECT_EQ(words({"produce", "-z", "g"}), (list{"gzip"}));
  EXPECT_EQ(words({"produce", "--codec=g"}), (list{"--codec=gzip"}));
  EXPECT_EQ(words({"consume", "--group", ""}), (list{"billing"}));
  EXPECT_EQ(words({"consume", "--from-file", ""}), (list{":files"}));
  EXPECT_EQ(words({"produce", "--key", ""}), (list{}));
}

TEST_F(completion, positionals_in_their_order) {
  EXPECT_EQ(words({"produce", "o"}), (list{"orders"}));
  EXPECT_EQ(words({"produce", "--key", "k", ""}), (list{"orders", "events"}));
  EXPECT_EQ(words({"produce", "orders", ""}), (list{":files"}));
  EXPECT_EQ(words({"topic", "delete", "orders", "e"}), (list{"events"}));
}

TEST_F(completion, asks_the_cluster_only_for_names) {
  const cluster_names names{.topics = []() -> list { throw std::logic_error("asked for topics"); },
                            .groups = []() -> list { throw std::logic_error("asked for groups"); }};
  for (const list& line : {list{""}, list{"topic", "d"}, list{"produce", "--"}, list{"produce", "t", ""}})
    EXPECT_NO_THROW(complete(root_, line, names));
  EXPECT_THROW(complete(root_, list{"produce", ""}, names), std::logic_error);
}

TEST_F(completion, value_of_an_option_on_the_line) {
  const list line{"-b", "one:1", "--bootstrap=two:2"};
  EXPECT_EQ(value_in(line, "-b", "--bootstrap"), "one:1");
  EXPECT_EQ(value_in(std::span(line).subspan(1), "-b", "--bootstrap"), "two:2");
  EXPECT_EQ(value_in(line, "-k", "--key"), std::nullopt);
}

TEST_F(completion, a_script_for_each_shell) {
  for (const char* shell : {"bash", "zsh", "fish"}) EXPECT_TRUE(completion_script(shell)) << shell;
  EXPECT_FALSE(completion_script("csh"));
}

}  // namespace
}  // namespace millrace::tools
