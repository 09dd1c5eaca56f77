// A store's entries: whatever is added and erased, they are found by key and lie in its order, in small maps,
// in those with one table and in those with many.
#include "processors/host/entry_map.h"

#include <gtest/gtest.h>
#include <map>
#include <string>

#include "base/prng.h"

namespace millrace::processors {
namespace {

using model = std::map<std::string, std::string>;

void expect_same(entry_map& entries, const model& expected) {
  ASSERT_EQ(entries.size(), expected.size());
  auto at = entries.begin();
  for (const auto& [key, value] : expected) {
    ASSERT_EQ(at->first, key);
    ASSERT_EQ(at->second, value);
    const std::string* found = entries.find(key);
    ASSERT_NE(found, nullptr) << key;
    ASSERT_EQ(found, &at->second);
    ++at;
  }
  EXPECT_EQ(at, entries.end());
}

// Adds, replaces and erases among so many keys; more is added than erased until `size` are there, then
// nothing.
void live(size_t keys, size_t size, uint64_t seed) {
  prng random(seed);
  entry_map entries;
  model expected;
  bool is_growing = true;
  for (uint64_t step = 0; is_growing || !expected.empty(); ++step) {
    const std::string key = std::to_string(random.below(keys));
    std::string* found = entries.find(key);
    ASSERT_EQ(found != nullptr, expected.contains(key));
    if (is_growing ? random.below(8) < 7 : found && random.below(8) < 1) {
      const std::string value = std::to_string(step);
      found ? void(*found = value) : entries.add(key, value);
      expected[key] = value;
    } else if (found) {
      // The key may be the entry's own.
      entries.erase(entries.lower_bound(key)->first);
      expected.erase(key);
    }
    if (is_growing && expected.size() == size) {
      is_growing = false;
      expect_same(entries, expected);
    }
    // By now keys that are there are rarely drawn.
    if (!is_growing && expected.size() < 20) {
      expect_same(entries, expected);
      while (!expected.empty()) {
        entries.erase(expected.begin()->first);
        expected.erase(expected.begin());
      }
    }
  }
  expect_same(entries, expected);
  entries.add("again", "there");
  expected["again"] = "there";
  expect_same(entries, expected);
}

TEST(entry_map_test, small_maps_have_no_table) {
  for (uint64_t seed = 0; seed < 20; ++seed) live(40, 25, seed);
}

TEST(entry_map_test, a_table_of_one_part_finds_what_the_tree_holds) {
  for (uint64_t seed = 0; seed < 20; ++seed) live(3'000, 1'000, seed);
}

TEST(entry_map_test, a_table_of_many_parts_finds_what_the_tree_holds) {
  live(100'000, 50'000, 1);
}

TEST(entry_map_test, bounds_are_in_the_order_of_bytes) {
  entry_map entries;
  for (int i = 0; i < 1000; ++i)
    entries.add(std::string(1, static_cast<char>(i % 256)) + std::to_string(i), "");
  EXPECT_EQ(entries.lower_bound("\xff")->first.substr(0, 1), "\xff");
  EXPECT_EQ(entries.upper_bound(std::string(1, '\0') + "0")->first, std::string(1, '\0') + "256");
  EXPECT_EQ(entries.find("nothing"), nullptr);
}

}  // namespace
}  // namespace millrace::processors
