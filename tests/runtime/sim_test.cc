// The simulator: what a crash keeps and loses, injected errors, sockets, determinism.
#include <chrono>
#include <cstring>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <vector>

#include "runtime/file.h"
#include "runtime/fs.h"
#include "runtime/gate.h"
#include "runtime/net.h"
#include "runtime/shards.h"
#include "runtime/sim/world.h"

namespace millrace::runtime {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t seeds = 200;

std::string text_of(const sim_disk& disk, const std::string& path) {
  const auto content = disk.content(path);
  return content ? std::string(as_text(*content)) : "<none>";
}

task<void> must(task<result<void>> work) {
  auto outcome = co_await work;
  EXPECT_TRUE(outcome) << to_string(outcome.error());
}

task<file> must_open(std::string path, open_options options) {
  auto opened = co_await file::open(std::move(path), options);
  EXPECT_TRUE(opened) << to_string(opened.error());
  co_return std::move(*opened);
}

// --- What survives ----------------------------------------------------------------------------------

task<void> write_synced_and_not(std::string synced_text, std::string later_text) {
  file f = co_await must_open("/f", {.create = true});
  co_await must(fs::sync_directory("/"));
  co_await must(f.write(0, as_bytes(synced_text)));
  co_await must(f.sync_data());
  co_await must(f.write(synced_text.size(), as_bytes(later_text)));
}

TEST(sim_disk, synced_data_survives_and_the_rest_may_not) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    sim_world world(seed);
    world.run(write_synced_and_not("certain", std::string(2000, 'x')));
    world.disk().crash_now();
    const auto after = world.disk().after_power_cut(seed);
    const std::string found = text_of(*after, "/f");
    ASSERT_EQ(found.substr(0, 7), "certain") << "seed " << seed;
    outcomes.insert(found);
  }
  EXPECT_TRUE(outcomes.contains("certain")) << "never lost";
  EXPECT_TRUE(outcomes.contains("certain" + std::string(2000, 'x'))) << "never kept";
  EXPECT_GT(outcomes.size(), 4U) << "never torn";
}

task<void> write_blocks(bool dsync) {
  file f = co_await must_open("/f", {.create = true, .direct = true});
  co_await must(fs::sync_directory("/"));
  buffer block = buffer::allocate(4096);
  for (int i = 0; i < 4; ++i) {
    std::memset(block.data(), 'a' + i, 4096);
    const bytes_view bytes(block.data(), 4096);
    co_await must(f.write(i * 4096, bytes, {.dsync = dsync}));
  }
}

TEST(sim_disk, dsync_writes_are_certain_when_they_complete) {
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    sim_world world(seed);
    world.run(write_blocks(true));
    const std::string found = text_of(*world.disk().after_power_cut(seed), "/f");
    ASSERT_EQ(found.size(), 4U * 4096);
    for (int i = 0; i < 4; ++i) ASSERT_EQ(found[i * 4096], 'a' + i);
  }
}

TEST(sim_disk, unsynced_blocks_land_in_any_order) {
  bool later_without_earlier = false;
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    sim_world world(seed);
    world.run(write_blocks(false));
    const std::string found = text_of(*world.disk().after_power_cut(seed), "/f");
    if (found.size() == 4U * 4096 && found[0] == '\0' && found[3 * 4096] == 'd') later_without_earlier = true;
  }
  EXPECT_TRUE(later_without_earlier);
}

task<void> sync_other_file() {
  file a = co_await must_open("/a", {.create = true});
  file b = co_await must_open("/b", {.create = true});
  co_await must(fs::sync_directory("/"));
  co_await must(a.write(0, as_bytes("a")));
  co_await must(b.write(0, as_bytes("b")));
  co_await must(b.sync_data());
}

TEST(sim_disk, a_sync_covers_its_own_file_only) {
  bool lost = false;
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    sim_world world(seed);
    world.run(sync_other_file());
    const auto after = world.disk().after_power_cut(seed);
    ASSERT_EQ(text_of(*after, "/b"), "b");
    lost |= text_of(*after, "/a").empty();
  }
  EXPECT_TRUE(lost);
}

task<void> sync_file_not_directory() {
  file f = co_await must_open("/f", {.create = true});
  co_await must(f.write(0, as_bytes("x")));
  co_await must(f.sync_all());
}

TEST(sim_disk, a_name_needs_a_directory_sync) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    sim_world world(seed);
    world.run(sync_file_not_directory());
    outcomes.insert(text_of(*world.disk().after_power_cut(seed), "/f"));
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"<none>", "x"}));
}

task<void> try_replace(std::string text) {
  const bytes_view bytes = as_bytes(text);
  auto outcome = co_await fs::replace_file("/dir/f", bytes);
  (void)outcome;
}

// The classical check of a crash simulator: the recipe of replace_file is right at every step ...
TEST(sim_disk, replace_file_is_atomic_at_every_crash_point) {
  std::set<std::string> outcomes;
  for (uint64_t crash_point = 1; crash_point < 8; ++crash_point) {
    for (uint64_t seed = 0; seed < 50; ++seed) {
      sim_world world(seed);
      world.disk().put("/dir/f", as_bytes("old"));
      world.disk().crash_at(crash_point);
      world.run(try_replace("newer"));
      const std::string found = text_of(*world.disk().after_power_cut(seed), "/dir/f");
      ASSERT_TRUE(found == "old" || found == "newer") << found << " at " << crash_point << " seed " << seed;
      if (!world.disk().has_crashed()) {
        ASSERT_EQ(found, "newer");
      }
      outcomes.insert(found);
    }
  }
  EXPECT_EQ(outcomes.size(), 2U);
}

task<void> replace_without_sync(std::string text) {
  file f = co_await must_open("/dir/f.tmp", {.create = true, .truncate = true});
  co_await must(f.write(0, as_bytes(text)));
  co_await must(fs::rename("/dir/f.tmp", "/dir/f"));
  co_await must(fs::sync_directory("/dir"));
}

// ... and the same recipe without its sync is caught.
TEST(sim_disk, a_missing_sync_before_rename_shows) {
  bool broken = false;
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    sim_world world(seed);
    world.disk().put("/dir/f", as_bytes("old"));
    world.run(replace_without_sync("newer"));
    const std::string found = text_of(*world.disk().after_power_cut(seed), "/dir/f");
    broken |= found != "old" && found != "newer";
  }
  EXPECT_TRUE(broken);
}

TEST(sim_disk, a_killed_process_loses_nothing_that_completed) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    sim_world world(seed);
    world.run(write_synced_and_not("one", "two"));
    const auto killed = world.disk().after_kill(seed);
    ASSERT_EQ(text_of(*killed, "/f"), "onetwo");
    // Still uncertain, though.
    ASSERT_EQ(text_of(*killed->after_power_cut(seed), "/f").substr(0, 3), "one");
  }
}

// --- A log, crashed everywhere ----------------------------------------------------------------------

struct acked {
  int count = 0;
};

// Appends numbered blocks with dsync; notes what was acknowledged before the crash.
task<void> append_until_dead(sim_disk& disk, acked& out) {
  auto f = co_await file::open("/log", {.create = true, .direct = true});
  if (!f) co_return;
  auto synced = co_await fs::sync_directory("/");
  if (!synced) co_return;
  buffer block = buffer::allocate(4096);
  for (int i = 0; i < 50; ++i) {
    std::memset(block.data(), 1 + i, 4096);
    const bytes_view bytes(block.data(), 4096);
    auto written = co_await f->write(i * 4096, bytes, {.dsync = true});
    if (!written) co_return;
    if (!disk.has_crashed()) out.count = i + 1;
  }
}

TEST(sim_disk, acknowledged_appends_survive_every_crash_point) {
  for (uint64_t point = 1; point <= 53; ++point) {
    for (uint64_t seed = 0; seed < 10; ++seed) {
      sim_world world(seed * 1000 + point);
      world.disk().crash_at(point);
      acked before;
      world.run(append_until_dead(world.disk(), before));
      const auto found = world.disk().after_power_cut(seed)->content("/log");
      if (before.count == 0) continue;
      ASSERT_TRUE(found && found->size() >= before.count * 4096U) << "point " << point << " seed " << seed;
      for (int i = 0; i < before.count; ++i) {
        const auto expected = static_cast<std::byte>(1 + i);
        ASSERT_EQ((*found)[i * 4096], expected);
        ASSERT_EQ((*found)[i * 4096 + 4095], expected);
      }
    }
  }
}

// --- Errors -----------------------------------------------------------------------------------------

task<errc> write_one(std::string path, size_t size) {
  file f = co_await must_open(path, {.create = true});
  const std::string text(size, 'x');
  const bytes_view bytes = as_bytes(text);
  auto written = co_await f.write(0, bytes);
  co_return written ? errc::none : written.error().code;
}

TEST(sim_disk, a_full_disk_says_so_and_recovers) {
  sim_world world(1);
  world.disk().set_capacity(100'000);
  EXPECT_EQ(world.run(write_one("/a", 50'000)), errc::none);
  EXPECT_EQ(world.run(write_one("/b", 80'000)), errc::disk_full);
  world.run(must(fs::unlink("/a")));
  world.disk().set_capacity(200'000);
  EXPECT_EQ(world.run(write_one("/c", 80'000)), errc::none);
}

task<void> reserve_then_fill() {
  file f = co_await must_open("/f", {.create = true});
  co_await must(f.allocate(0, 40'960));
  const std::string text(40'000, 'x');
  const bytes_view bytes = as_bytes(text);
  co_await must(f.write(0, bytes));
}

TEST(sim_disk, reserved_space_is_there) {
  sim_world world(1);
  world.disk().set_capacity(40'960);
  world.run(reserve_then_fill());
}

task<void> meet_errors() {
  file f = co_await must_open("/wal", {.create = true});
  co_await must(f.write(0, as_bytes("one")));
  auto failed = co_await f.write(0, as_bytes("two"));
  EXPECT_EQ(failed.error().code, errc::io_error);
  EXPECT_NE(failed.error().message.find("/wal"), std::string::npos);
  co_await must(f.write(0, as_bytes("two")));
  auto unsynced = co_await f.sync_data();
  EXPECT_EQ(unsynced.error().code, errc::io_error);
  co_await must(f.sync_data());
}

TEST(sim_disk, injected_errors_hit_the_chosen_operation) {
  bool lost_after_second_sync = false;
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    sim_world world(seed);
    world.disk().inject({.kind = io_kind::write, .path_part = "wal", .skip = 1});
    world.disk().inject({.kind = io_kind::sync_data});
    world.run(meet_errors());
    world.run(must(fs::sync_directory("/")));
    lost_after_second_sync |= text_of(*world.disk().after_power_cut(seed), "/wal") != "two";
  }
  EXPECT_TRUE(lost_after_second_sync) << "a failed sync is not made good by the next one";
}

TEST(sim_disk, direct_access_must_be_aligned) {
  struct body {
    static task<void> run() {
      file f = co_await must_open("/f", {.create = true, .direct = true});
      EXPECT_EQ(f.direct_alignment(), 4096U);
      auto refused = co_await f.write(0, as_bytes("abc"));
      EXPECT_FALSE(refused);
    }
  };
  sim_world world(1);
  world.run(body::run());
}

// --- Time, sockets, shards --------------------------------------------------------------------------

TEST(sim_world, time_is_virtual) {
  struct body {
    static task<void> run() { co_await reactor::current().sleep(24h * 365); }
  };
  sim_world world(1);
  const auto real = std::chrono::steady_clock::now();
  const time_point before = world.now();
  world.run(body::run());
  EXPECT_GE(world.now() - before, 24h * 365);
  EXPECT_LT(std::chrono::steady_clock::now() - real, 5s);
}

TEST(sim_world, wall_clock_steps_do_not_move_timers) {
  struct body {
    static task<int64_t> run(sim_world& world) {
      const int64_t before = reactor::current().wall_clock_ms();
      world.step_wall_clock(-86'400'000);
      co_await reactor::current().sleep(10ms);
      co_return reactor::current().wall_clock_ms() - before;
    }
  };
  sim_world world(1);
  EXPECT_LE(world.run(body::run(world)), -86'400'000 + 100);
}

task<void> echo(std::unique_ptr<stream> s) {
  std::vector<std::byte> memory(1000);
  for (;;) {
    auto got = co_await s->read(memory);
    if (!got || *got == 0) break;
    iobuf answer(slice::copy_of(bytes_view(memory.data(), *got)));
    auto sent = co_await s->write(std::move(answer));
    if (!sent) break;
  }
  co_await s->close();
}

task<void> serve(listener& l, gate& connections) {
  for (;;) {
    auto s = co_await l.accept();
    if (!s) co_return;
    connections.spawn(echo(std::move(*s)));
  }
}

task<void> send_all(stream& s, std::string text) {
  iobuf data(slice::copy_of(as_bytes(text)));
  auto sent = co_await s.write(std::move(data));
  EXPECT_TRUE(sent);
}

task<void> talk(uint16_t port, std::string text) {
  auto s = co_await connect("127.0.0.1", port);
  EXPECT_TRUE(s);
  gate sending;
  sending.spawn(send_all(**s, text));
  std::string back;
  std::vector<std::byte> memory(10'000);
  while (back.size() < text.size()) {
    auto got = co_await (*s)->read(memory);
    EXPECT_TRUE(got && *got > 0);
    if (!got || *got == 0) break;
    back += as_text(bytes_view(memory.data(), *got));
  }
  EXPECT_EQ(back, text);
  co_await sending.close();
  co_await (*s)->close();
}

// The server lives on shard 0, clients call in from everywhere.
task<void> echo_across_shards() {
  auto l = co_await listener::bind("", 0);
  EXPECT_TRUE(l);
  gate connections;
  gate accepting;
  accepting.spawn(serve(**l, connections));
  const uint16_t port = (*l)->port();
  struct one {
    static task<void> client(shard_id id, uint16_t port) {
      co_await talk(port, std::string(100'000 + id.value() * 77'777, static_cast<char>('a' + id.value())));
    }
  };
  co_await on_every_shard([port](shard_id id) { return one::client(id, port); });
  (*l)->close();
  co_await accepting.close();
  co_await connections.close();
}

TEST(sim_world, sockets_between_shards) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    sim_world world(seed, {.shards = 3});
    world.run(echo_across_shards());
    EXPECT_EQ(world.network().connection_count(), 0U);
  }
}

TEST(sim_world, resets_reach_both_ends) {
  struct body {
    static task<void> run(sim_world& world) {
      auto l = co_await listener::bind("127.0.0.1", 0);
      auto client = co_await connect("127.0.0.1", (*l)->port());
      auto server = co_await (*l)->accept();
      world.network().reset_connections();
      std::vector<std::byte> memory(10);
      auto got = co_await (*server)->read(memory);
      EXPECT_EQ(got.error().code, errc::closed);
      co_await (*server)->close();
      co_await (*client)->close();
    }
  };
  sim_world world(1);
  world.run(body::run(world));
}

TEST(sim_world, the_same_seed_gives_the_same_run) {
  const auto trace_of = [](uint64_t seed) {
    sim_world world(seed, {.shards = 3});
    world.run(echo_across_shards());
    world.run(write_blocks(false));
    return world.trace();
  };
  std::set<uint64_t> traces;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    ASSERT_EQ(trace_of(seed), trace_of(seed)) << "seed " << seed;
    traces.insert(trace_of(seed));
  }
  EXPECT_EQ(traces.size(), 10U) << "different seeds must differ";
}

TEST(sim_world_death, a_deadlock_names_the_seed) {
  struct body {
    static task<void> run() {
      event never;
      co_await never.wait();
    }
  };
  EXPECT_DEATH(
      {
        sim_world world(4711);
        world.run(body::run());
      },
      "seed=4711");
}

}  // namespace
}  // namespace millrace::runtime
