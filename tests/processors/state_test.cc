// The stores of a processor in memory: what a call changes and takes back, and what its changelog would say.
#include "processors/host/state.h"

#include <gtest/gtest.h>
#include <iostream>

#include "base/prng.h"
#include "processors/host/snapshot.h"
#include "tests/processors/processor_kit.h"

namespace millrace::processors {
namespace {

using kit::bytes;
using kit::null_bytes;
using kit::text;
using model = std::map<std::pair<uint32_t, std::string>, std::string>;

std::shared_ptr<state_memory> memory(uint64_t bytes = 1 << 20) {
  return std::make_shared<state_memory>(bytes);
}

model content_of(const partition_state& s) {
  model all;
  for (uint32_t store = 0; store < s.store_count(); ++store)
    for (const auto& [key, value] : s.entries_of(store)) all[{store, key}] = value;
  return all;
}

std::string get(const partition_state& s, uint32_t store, std::string_view key) {
  millrace_bytes value{};
  s.get(store, bytes(key), value);
  return text(value);
}

TEST(state_test, entries_are_found_in_the_order_of_their_bytes) {
  partition_state s(1, memory());
  for (const char* key : {"b", "a", "ab", "\xff", ""})
    EXPECT_EQ(s.put(0, 0, bytes(key), bytes(key)), MILLRACE_OK);
  std::vector<std::string> order;
  millrace_bytes key{};
  millrace_bytes value{};
  for (int32_t status = s.seek(0, bytes(""), false, key, value); status == MILLRACE_OK;
       status = s.seek(0, bytes(order.back()), true, key, value))
    order.push_back(text(key));
  EXPECT_EQ(order, (std::vector<std::string>{"", "a", "ab", "b", "\xff"}));
  EXPECT_EQ(key.size, -1);
  EXPECT_EQ(s.put(0, 0, bytes("a"), null_bytes), MILLRACE_OK);
  EXPECT_EQ(get(s, 0, "a"), "<null>");
  EXPECT_EQ(get(s, 0, "ab"), "ab");
}

TEST(state_test, what_cannot_be_is_refused) {
  partition_state s(1, memory());
  millrace_bytes value{};
  EXPECT_EQ(s.put(0, 1, bytes("k"), bytes("v")), MILLRACE_UNKNOWN_STORE);  // meta is not the plugin's
  EXPECT_EQ(s.get(1, bytes("watermark"), value), MILLRACE_UNKNOWN_STORE);
  EXPECT_EQ(s.put(0, 0, null_bytes, bytes("v")), MILLRACE_INVALID_ARGUMENT);
  EXPECT_EQ(s.put(0, 0, {nullptr, 3}, bytes("v")), MILLRACE_INVALID_ARGUMENT);
  EXPECT_EQ(s.put(0, 0, bytes("k"), {nullptr, 3}), MILLRACE_INVALID_ARGUMENT);
  EXPECT_EQ(s.put(0, 0, bytes("k"), {"v", INT64_MAX}), MILLRACE_INVALID_ARGUMENT);
  EXPECT_EQ(s.set_timer(0, -1, bytes("k")), MILLRACE_INVALID_ARGUMENT);
  EXPECT_TRUE(s.changes().empty());
}

TEST(state_test, memory_has_a_limit_that_partitions_share) {
  const auto shared = memory(2000);
  partition_state a(1, shared);
  partition_state b(1, shared);
  const std::string large(800, 'x');
  EXPECT_EQ(a.put(0, 0, bytes("k"), bytes(large)), MILLRACE_OK);
  EXPECT_EQ(b.put(0, 0, bytes("k"), bytes(large)), MILLRACE_OK);
  EXPECT_EQ(b.put(0, 0, bytes("l"), bytes(large)), MILLRACE_STATE_FULL);
  EXPECT_TRUE(b.is_full());
  EXPECT_EQ(b.put(0, 0, bytes("k"), bytes("small")), MILLRACE_OK);
  a.drop_from(0);
  EXPECT_EQ(b.put(0, 0, bytes("l"), bytes(large)), MILLRACE_OK);
  EXPECT_EQ(shared->bytes.load(), a.bytes() + b.bytes());
}

TEST(state_test, timers_are_due_in_the_order_of_time_and_key) {
  partition_state s(0, memory());
  EXPECT_EQ(s.set_timer(0, 900, bytes("late")), MILLRACE_OK);
  EXPECT_EQ(s.set_timer(0, 10, bytes("b")), MILLRACE_OK);
  EXPECT_EQ(s.set_timer(0, 10, bytes("a")), MILLRACE_OK);
  EXPECT_EQ(s.set_timer(0, 10, bytes("a")), MILLRACE_OK);
  EXPECT_EQ(s.set_timer(0, 10, bytes("c")), MILLRACE_OK);
  EXPECT_EQ(s.cancel_timer(0, 10, bytes("c")), MILLRACE_OK);
  EXPECT_FALSE(s.due_timer());
  s.advance_time(1, 9);
  EXPECT_FALSE(s.due_timer());
  s.advance_time(2, 500);
  std::string fired;
  while (const auto due = s.due_timer()) {
    fired += due->key;
    s.remove_timer(2, *due);
  }
  EXPECT_EQ(fired, "ab");
  EXPECT_EQ(s.set_timer(3, 500, bytes("x")), MILLRACE_TIME_PASSED);
  s.advance_time(3, 100);  // late records do not turn time back
  EXPECT_EQ(s.watermark(), 500);
  s.drop_from(2);
  EXPECT_EQ(s.watermark(), 9);
  s.advance_time(2, 10);
  EXPECT_EQ(s.due_timer()->key, "a");
}

// Random calls, each dropped from a random record on: the state is that of the records that stand, and the
// state from the changelog (or from a snapshot and what follows it) is the same.
TEST(state_test, changes_that_are_taken_back_leave_no_trace) {
  const uint64_t seed = 20261121;
  std::cout << "seed " << seed << std::endl;
  prng random(seed);
  for (int round = 0; round < 30; ++round) {
    partition_state s(2, memory());
    partition_state folded(2, memory());
    partition_state from_file(2, memory());
    model expected;
    int64_t watermark = -1;
    std::vector<std::byte> file;
    std::optional<snapshot_writer> writer;
    struct logged {
      uint32_t store;
      std::string key;
      std::optional<std::string> value;
    };
    std::vector<logged> behind;  // changelog since the snapshot began
    for (int call = 0; call < 40; ++call) {
      if (call == 20) writer.emplace(snapshot_header{{}, {}}, s);
      const uint32_t keep = static_cast<uint32_t>(random.below(6));
      for (uint32_t record = 0; record < 5; ++record) {
        const auto time = static_cast<int64_t>(random.below(100000));
        s.advance_time(record, time);
        if (record < keep) watermark = std::max(watermark, time);
        for (uint64_t n = random.below(4); n > 0; --n) {
          const auto store = static_cast<uint32_t>(random.below(2));
          const std::string key = std::to_string(random.below(12));
          const std::string value = std::to_string(random.next());
          const bool is_removal = random.below(3) == 0;
          EXPECT_EQ(s.put(record, store, bytes(key), is_removal ? null_bytes : bytes(value)), MILLRACE_OK);
          if (record >= keep) continue;
          if (is_removal)
            expected.erase({store, key});
          else
            expected[{store, key}] = value;
        }
      }
      s.drop_from(keep);
      for (const auto& c : s.changes()) {
        const auto value = c.value ? std::optional<std::string>(*c.value) : std::nullopt;
        folded.restore(c.store, c.key, value);
        if (writer) behind.push_back({c.store, std::string(c.key), value});
      }
      s.commit();
      if (watermark >= 0) expected[{2, "watermark"}] = std::to_string(watermark);
      ASSERT_EQ(content_of(s), expected);
      ASSERT_EQ(content_of(folded), expected);
      if (writer && call % 7 == 0)
        if (const auto piece = writer->next()) file.insert(file.end(), piece->begin(), piece->end());
    }
    while (const auto piece = writer->next()) file.insert(file.end(), piece->begin(), piece->end());
    ASSERT_TRUE(load_snapshot(file, from_file));
    for (const logged& c : behind) from_file.restore(c.store, c.key, c.value);
    ASSERT_EQ(content_of(from_file), expected);
    uint64_t total = 0;
    for (const auto& [key, value] : expected)
      total += key.second.size() + value.size() + partition_state::entry_overhead_bytes;
    ASSERT_EQ(s.bytes(), total);
  }
}

TEST(snapshot_test, a_damaged_file_is_told_from_a_whole_one) {
  partition_state s(1, memory());
  for (int i = 0; i < 100; ++i) s.put(0, 0, bytes(std::to_string(i)), bytes("value"));
  snapshot_header header;
  header.owner.processor = processor_id("p");
  header.changelogs = {{{processor_id("topic"), 3}, offset(17)}};
  snapshot_writer writer(header, s);
  std::vector<std::byte> file;
  while (const auto piece = writer.next()) file.insert(file.end(), piece->begin(), piece->end());
  partition_state back(1, memory());
  const auto loaded = load_snapshot(file, back);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->changelogs, header.changelogs);
  EXPECT_EQ(loaded->owner, header.owner);
  EXPECT_EQ(content_of(back), content_of(s));
  for (size_t at = 0; at < file.size(); ++at) {
    std::vector<std::byte> damaged = file;
    damaged[at] ^= std::byte{0x10};
    partition_state other(1, memory());
    EXPECT_FALSE(load_snapshot(damaged, other)) << at;
    partition_state another(1, memory());
    EXPECT_FALSE(load_snapshot(bytes_view(file).first(at), another)) << at;
  }
  partition_state small(1, memory(1000));
  EXPECT_EQ(load_snapshot(file, small).error().code, errc::limit_exceeded);
}

}  // namespace
}  // namespace millrace::processors
