// A run on the real disk is recorded; at every cut, for several seeds, the rebuilt directory is checked.
#include "runtime/record.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "runtime/file.h"
#include "runtime/fs.h"
#include "tests/runtime/fixture.h"

namespace millrace::runtime {
namespace {

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return "<none>";
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Each step is durable before the next begins.
task<void> record_steps(std::string data) {
  auto log = co_await file::open(data + "/log", {.create = true});
  EXPECT_TRUE(log) << to_string(log.error());
  auto synced = co_await fs::sync_directory(data);
  EXPECT_TRUE(synced);
  for (int i = 0; i < 5; ++i) {
    const std::string text(4096, static_cast<char>('a' + i));
    const bytes_view bytes = as_bytes(text);
    auto written = co_await log->write(i * 4096, bytes, {.dsync = true});
    EXPECT_TRUE(written);
    const std::string state = std::to_string(i + 1);
    const bytes_view state_bytes = as_bytes(state);
    auto replaced = co_await fs::replace_file(data + "/state", state_bytes);
    EXPECT_TRUE(replaced) << to_string(replaced.error());
  }
  auto removed = co_await fs::unlink(data + "/old");
  EXPECT_TRUE(removed);
}

class recording : public testing::TestWithParam<backend_choice> {};
MILLRACE_ON_EACH_BACKEND(recording);

TEST_P(recording, every_cut_gives_a_possible_directory) {
  if (GetParam() == backend_choice::uring && !why_not_uring().empty()) GTEST_SKIP() << why_not_uring();
  const temporary_directory here;
  const std::string data = here / "data";
  std::filesystem::create_directory(data);
  std::ofstream(data + "/old") << "from before";
  std::filesystem::copy(data, here / "initial");

  {
    auto io = record_to(here / "recording", std::move(*make_backend(GetParam())));
    ASSERT_TRUE(io);
    reactor loop({}, std::move(*io));
    loop.run(record_steps(data));
  }

  auto run = recorded_run::load(here / "recording", data, here / "initial");
  ASSERT_TRUE(run) << to_string(run.error());
  std::set<std::string> states;
  int cuts = 0;
  uint64_t last_time = 0;
  for (;; ++cuts) {
    for (uint64_t seed = 0; seed < 4; ++seed) {
      const std::string out = here / "out";
      auto rebuilt = run->write_directory(seed, out);
      ASSERT_TRUE(rebuilt) << to_string(rebuilt.error());
      // The state file counts blocks that were durable before it was written.
      const std::string state = slurp(out + "/state");
      const std::string log = slurp(out + "/log");
      states.insert(state);
      const int count = state == "<none>" ? 0 : std::stoi(state);
      ASSERT_GE(log.size(), count * 4096U) << "cut " << cuts << " seed " << seed;
      for (int i = 0; i < count; ++i)
        ASSERT_EQ(log.substr(i * 4096, 4096), std::string(4096, static_cast<char>('a' + i)));
      std::filesystem::remove_all(out);
    }
    if (run->next_time_ns()) {
      EXPECT_GE(*run->next_time_ns(), last_time);
      last_time = *run->next_time_ns();
    }
    auto more = run->advance();
    ASSERT_TRUE(more) << to_string(more.error());
    if (!*more) break;
  }
  EXPECT_EQ(states, (std::set<std::string>{"<none>", "1", "2", "3", "4", "5"}));
  EXPECT_GT(cuts, 50);
  // All was synced, so any outcome of a cut at the end is what is really there.
  ASSERT_TRUE(run->write_directory(1, here / "end"));
  for (const char* name : {"/log", "/state", "/old"})
    EXPECT_EQ(slurp(here / "end" + name), slurp(data + name)) << name;
  EXPECT_EQ(slurp(data + "/old"), "<none>");
}

TEST(recorded_run, refuses_other_files) {
  const temporary_directory here;
  std::ofstream(here / "x") << "nonsense";
  EXPECT_EQ(recorded_run::load(here / "x", "/", "").error().code, errc::malformed);
  EXPECT_FALSE(recorded_run::load(here / "none", "/", ""));
}

}  // namespace
}  // namespace millrace::runtime
