// What loading a shared object accepts, and what it says when it does not.
#include "processors/host/plugin.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "tests/processors/plugins/a_table.h"
#include "tests/temporary_directory.h"

namespace millrace::processors {
namespace {

namespace fs = std::filesystem;

class plugin_test : public testing::Test {
 protected:
  std::string store() const { return directory_ / "store"; }
  result<std::shared_ptr<const plugin>> load(const fs::path& library) {
    return plugin::load(library, store());
  }
  // Expects that loading fails and that the message contains `part`.
  void expect_refused(const fs::path& library, std::string_view part) {
    const auto loaded = load(library);
    ASSERT_FALSE(loaded);
    EXPECT_NE(loaded.error().message.find(part), std::string::npos) << loaded.error().message;
  }

  const temporary_directory directory_;
};

fs::path example(std::string_view name) {
  return fs::path(EXAMPLES_DIR) / (std::string(name) + ".so");
}
fs::path bad(std::string_view name) {
  return fs::path(PLUGINS_DIR) / ("bad_" + std::string(name) + ".so");
}

TEST_F(plugin_test, a_good_one_tells_what_it_is) {
  const auto loaded = load(example("line_cleaner"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  const plugin& p = **loaded;
  EXPECT_EQ(p.name(), "line-cleaner");
  EXPECT_EQ(p.version(), "1.0");
  EXPECT_EQ(p.outputs(), (std::vector<std::string>{"clean", "rejected"}));
  EXPECT_TRUE(p.reads_headers());
  EXPECT_EQ(p.content_hash().size(), 32u);
  EXPECT_TRUE(fs::exists(fs::path(store()) / (p.content_hash() + ".so")));
}

TEST_F(plugin_test, what_it_is_may_depend_on_its_configuration) {
  const auto load_with = [this](const plugin::options& given) {
    return plugin::load(BUNDLED, store(), given);
  };
  const auto route = load_with(
      {{"processor", "route"}, {"outputs.big", "a > 1"}, {"outputs.small", "a < 1"}, {"rest", "other"}});
  ASSERT_TRUE(route) << route.error().message;
  EXPECT_EQ((*route)->name(), "bundled-route");
  EXPECT_EQ((*route)->outputs(), (std::vector<std::string>{"big", "small", "other"}));
  EXPECT_FALSE((*route)->is_stateful());
  const auto sums = load_with({{"processor", "aggregate"}, {"results.n", "sum(a)"}});
  ASSERT_TRUE(sums) << sums.error().message;
  EXPECT_EQ((*sums)->stores(), std::vector<std::string>{"groups"});
  EXPECT_EQ((*route)->outputs().size(), 3);  // as before
  const auto wrong = load_with({{"processor", "filter"}, {"keep", "a >"}});
  ASSERT_FALSE(wrong);
  EXPECT_TRUE(wrong.error().message.contains("config.keep = \"a >\": not an expression of Lua"))
      << wrong.error().message;
}

TEST_F(plugin_test, the_copy_is_what_runs) {
  const fs::path original = directory_ / "original.so";
  fs::copy_file(example("shout"), original);
  const auto first = load(original);
  ASSERT_TRUE(first) << first.error().message;
  std::ofstream(original, std::ios::trunc) << "overwritten";
  EXPECT_EQ((*first)->name(), "shout");
  EXPECT_STREQ((*first)->table().name, "shout");
  const auto second = load(example("shout"));
  ASSERT_TRUE(second);
  EXPECT_EQ((*second)->content_hash(), (*first)->content_hash());
}

TEST_F(plugin_test, a_damaged_copy_is_made_anew) {
  const auto first = load(example("shout"));
  ASSERT_TRUE(first);
  const fs::path copy = fs::path(store()) / ((*first)->content_hash() + ".so");
  const auto size = fs::file_size(copy);
  // As a power cut may leave it: the name is there, the content is not. (Another inode, since the first one
  // is mapped.)
  fs::remove(copy);
  std::ofstream(copy).close();
  ASSERT_TRUE(load(example("shout")));
  EXPECT_EQ(fs::file_size(copy), size);
}

TEST_F(plugin_test, what_is_wrong_is_said) {
  expect_refused(directory_ / "absent.so", "cannot open");
  std::ofstream(directory_ / "text.so") << "not an ELF file";
  expect_refused(directory_ / "text.so", "cannot be loaded");
  expect_refused(bad("missing_symbol"), "does not export millrace_processor_entry");
  expect_refused(bad("null_table"), "returned no table");
  expect_refused(bad("other_abi"), "built for processor ABI 7; this broker has 1");
  expect_refused(bad("needs_more"), "does not offer: read_uncommitted, unknown feature bits 0x10000000000");
  expect_refused(bad("reserved_store"), "a store cannot be named meta");
  expect_refused(bad("twice_the_same_output"), "declares the output out twice");
  expect_refused(bad("unresolved_symbol"), "from_a_library_that_is_not_there");
}

TEST(plugin_table_test, every_field_is_checked) {
  const auto expect_refused = [](auto change, std::string_view part) {
    millrace_processor table = a_table();
    change(table);
    const auto wrapped = plugin::wrap(&table);
    ASSERT_FALSE(wrapped);
    EXPECT_NE(wrapped.error().message.find(part), std::string::npos) << wrapped.error().message;
  };
  using table = millrace_processor;
  expect_refused([](table& t) { t.struct_size = 8; }, "claims 8 bytes");
  expect_refused([](table& t) { t.struct_size = 0xffffffff; }, "claims");
  expect_refused([](table& t) { t.name = nullptr; }, "no name");
  expect_refused([](table& t) { t.version = ""; }, "no version");
  expect_refused([](table& t) { t.create = nullptr; }, "lacks create");
  expect_refused([](table& t) { t.destroy = nullptr; }, "lacks create");
  expect_refused([](table& t) { t.process = nullptr; }, "lacks create");
  expect_refused([](table& t) { t.needs = MILLRACE_NEEDS_TIMERS; }, "its table lacks timer");
  expect_refused(
      [](table& t) {
        t.store_count = 1;
        t.stores = out_and_out;
      },
      "without saying that it needs state");
  expect_refused(
      [](table& t) {
        t.needs = MILLRACE_NEEDS_STATE;
        t.store_count = 2;
        t.stores = out_and_out;
      },
      "declares the store out twice");
  expect_refused([](table& t) { t.outputs = nullptr; }, "declares 1 outputs");
  expect_refused([](table& t) { t.output_count = 65; }, "declares 65 outputs");
  static constexpr const char* unnamed[] = {nullptr};
  expect_refused([](table& t) { t.outputs = unnamed; }, "name of its output 0");
  static constexpr const char* oddly_named[] = {"a b"};
  expect_refused([](table& t) { t.outputs = oddly_named; }, "name of its output 0");
}

TEST(plugin_table_test, later_tables_are_larger_and_work) {
  struct {
    millrace_processor table = a_table();
    void* added_later = nullptr;
  } later;
  later.table.struct_size = sizeof(later);
  later.table.traits = ~uint64_t{0};  // traits that this host does not know are no reason to refuse
  EXPECT_TRUE(plugin::wrap(&later.table));
}

TEST(plugin_table_test, tables_of_the_first_version_are_shorter_and_work) {
  millrace_processor table = a_table();
  table.struct_size = offsetof(millrace_processor, store_count);
  // What lies behind such a table is not the plugin's to speak for.
  table.store_count = 77;
  table.timer = reinterpret_cast<decltype(table.timer)>(1);
  const auto wrapped = plugin::wrap(&table);
  ASSERT_TRUE(wrapped) << wrapped.error().message;
  EXPECT_FALSE((*wrapped)->is_stateful());
  EXPECT_EQ((*wrapped)->table().timer, nullptr);
}

}  // namespace
}  // namespace millrace::processors
