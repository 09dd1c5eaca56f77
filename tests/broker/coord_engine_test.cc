// The framework alone, under a machine that counts.
#include <gtest/gtest.h>
#include <map>

#include "broker/coord/engine.h"
#include "broker/coord/partition_of.h"
#include "tests/broker/coord_world.h"

namespace millrace::broker::coord::testing {
namespace {

// Adds numbers to named sums. Key: the name; value: the number, as text.
class adding_machine final : public machine {
 public:
  result<void> replay(bytes_view key, std::optional<bytes_view> value) override {
    if (!value) {
      sums.erase(std::string(as_text(key)));
      return {};
    }
    sums[std::string(as_text(key))] += std::stoi(std::string(as_text(*value)));
    return {};
  }
  void on_loaded(step&) override { ++loads; }
  void on_timer(const timer_key& key, step& s) override {
    fired.push_back(key.subject);
    if (key.part == "again") s.set_timer({0, key.subject, ""}, s.now().steady_ms + 10);
  }
  std::optional<std::string> rewrite(const std::string&, step&) override { return std::nullopt; }
  void clear() override {
    sums.clear();
    kept = {};
  }

  void add(const std::string& name, int number, step& s, reply_to<int> reply) {
    s.emit({bytes_of(name), bytes_of(std::to_string(number))});
    s.answer(std::move(reply), sums[name]);
  }
  static std::vector<std::byte> bytes_of(const std::string& text) {
    const bytes_view view = as_bytes(text);
    return {view.begin(), view.end()};
  }

  std::map<std::string, int> sums;
  std::vector<std::string> fired;
  int loads = 0;
  reply_to<int> kept;
};

struct CoordEngine : ::testing::Test {
  adding_machine machine;
  memory_log log;
  manual_clock clock;
  engine coordinator{machine, log, clock};

  mailbox<int> add(const std::string& name, int number) {
    mailbox<int> box;
    coordinator.run(box.reply(),
                    [&](step& s, reply_to<int> reply) { machine.add(name, number, s, std::move(reply)); });
    return box;
  }
  mailbox<int> read(const std::string& name) {
    mailbox<int> box;
    coordinator.run(box.reply(),
                    [&](step& s, reply_to<int> reply) { s.answer(std::move(reply), machine.sums[name]); });
    return box;
  }
};

TEST_F(CoordEngine, RecordsApplyAtOnceAndAnswersWaitForTheDisk) {
  coordinator.finish_loading();
  const auto first = add("a", 1);
  const auto second = add("a", 2);
  EXPECT_EQ(machine.sums["a"], 3);
  EXPECT_FALSE(first.has_answer());

  coordinator.on_durable(1);
  EXPECT_EQ(*first, 1);
  EXPECT_FALSE(second.has_answer());
  coordinator.on_durable(2);
  EXPECT_EQ(*second, 3);
}

TEST_F(CoordEngine, AReadWaitsForTheWriteItSaw) {
  coordinator.finish_loading();
  EXPECT_EQ(*read("a"), 0);
  const auto write = add("a", 5);
  const auto seen = read("a");
  EXPECT_FALSE(seen.has_answer());
  coordinator.on_durable(1);
  EXPECT_EQ(*write, 5);
  EXPECT_EQ(*seen, 5);
}

TEST_F(CoordEngine, WhileLoadingEveryoneIsToldSo) {
  const auto early = add("a", 1);
  ASSERT_FALSE(early.answer().has_value());
  EXPECT_EQ(early.answer().error().code, errc::coordinator_load_in_progress);

  ASSERT_TRUE(coordinator.replay(as_bytes("a"), as_bytes("41")).has_value());
  coordinator.finish_loading();
  EXPECT_EQ(machine.loads, 1);
  add("a", 1);
  EXPECT_EQ(machine.sums["a"], 42);
}

TEST_F(CoordEngine, AFailedAppendStopsItAndNobodyWaitsForEver) {
  coordinator.finish_loading();
  auto waiting = add("a", 1);
  mailbox<int> parked;
  machine.kept = parked.reply();
  log.is_broken = true;
  auto failed = add("a", 2);
  for (const mailbox<int>* box : {&waiting, &parked, &failed}) {
    ASSERT_TRUE(box->has_answer());
    EXPECT_EQ(box->answer().error().code, errc::not_coordinator);
  }
  EXPECT_EQ(coordinator.current_phase(), engine::phase::stopped);
  EXPECT_TRUE(machine.sums.empty());

  log.is_broken = false;
  coordinator.start_loading();
  for (const record& r : log.batches[0]) ASSERT_TRUE(coordinator.replay(r.key, r.value_view()).has_value());
  coordinator.finish_loading();
  EXPECT_EQ(machine.sums["a"], 1);
}

TEST_F(CoordEngine, TimersComeInOrderAndMayBeReplaced) {
  coordinator.finish_loading();
  mailbox<int> box;
  coordinator.run(box.reply(), [&](step& s, reply_to<int> reply) {
    s.set_timer({0, "late", ""}, s.now().steady_ms + 30);
    s.set_timer({0, "early", ""}, s.now().steady_ms + 50);
    s.set_timer({0, "early", ""}, s.now().steady_ms + 10);
    s.set_timer({0, "never", ""}, s.now().steady_ms + 20);
    s.cancel_timer({0, "never", ""});
    s.answer(std::move(reply), 0);
  });
  EXPECT_EQ(clock.wake_ms, clock.steady_ms + 10);
  clock.steady_ms += 100;
  coordinator.run_timers();
  EXPECT_EQ(machine.fired, (std::vector<std::string>{"early", "late"}));
}

TEST(CoordPartition, IsTheHashOfAJavaString) {
  EXPECT_EQ(java_string_hash(""), 0);
  EXPECT_EQ(java_string_hash("console-consumer-65287"), static_cast<int32_t>([] {
              uint32_t h = 0;
              for (const char c : std::string("console-consumer-65287")) h = h * 31 + static_cast<uint8_t>(c);
              return h;
            }()));
  EXPECT_EQ(java_string_hash("polygenelubricants"), INT32_MIN);
  EXPECT_EQ(partition_of("polygenelubricants", 50), 0);
  EXPECT_EQ(java_string_hash("é"), 0xe9);
  EXPECT_EQ(java_string_hash("😀"), 0xd83d * 31 + 0xde00);
  EXPECT_EQ(java_string_hash("\xff"), 0xfffd);
}

}  // namespace
}  // namespace millrace::broker::coord::testing
