// What a start learns from the breadcrumbs of the run before, and that a call which ends its process leaves
// them.
#include "processors/host/quarantine.h"

#include <csignal>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "processors/host/breadcrumb.h"
#include "processors/host/watchdog.h"
#include "tests/temporary_directory.h"

namespace millrace::processors {
namespace {

class quarantine_test : public ::testing::Test {
 protected:
  std::string crumb_path(int shard = 0) const { return directory_ / ("breadcrumb-" + std::to_string(shard)); }

  // A run that is killed while `processor` is called with the record at `offset`. (On a thread: the number of
  // one that has been in a call is kept, and would be wrong after fork().)
  void killed_at(int64_t offset, const std::string& processor = "p", uint32_t current = 0, int shard = 0) {
    std::thread([&] {
      breadcrumb crumb(crumb_path(shard));
      crumb.enter(processor, "hash", "in", 1);
      crumb.at(offset);
      *crumb.current() = current;
    }).join();
  }
  // A run that ends between two calls.
  void ended() {
    std::thread([this] {
      breadcrumb crumb(crumb_path());
      const in_call noted(&crumb, "p", "hash", "in", 1);
      crumb.at(7);
    }).join();
  }
  quarantine start() { return quarantine::load(directory_.path()).value(); }

  const temporary_directory directory_;
};

TEST_F(quarantine_test, a_broker_killed_once_or_twice_in_a_call_suspects_and_accuses_nobody) {
  for (uint32_t times = 1; times < quarantine::kills_max; ++times) {
    killed_at(40, "p", 2);
    const quarantine q = start();
    EXPECT_TRUE(q.news().empty());
    EXPECT_EQ(q.find("p", "hash"), nullptr);
    ASSERT_EQ(q.suspicions().size(), 1u);
    const suspicion& s = q.suspicions()[0];
    EXPECT_EQ(s.processor, "p");
    EXPECT_EQ(s.topic, "in");
    EXPECT_EQ(s.partition, 1);
    EXPECT_EQ(s.offset, 42);
    EXPECT_EQ(s.times, times);
  }
}

TEST_F(quarantine_test, three_times_in_a_row_at_the_same_record_is_an_accusation_that_names_it) {
  for (uint32_t times = 1; times < quarantine::kills_max; ++times) {
    killed_at(42);
    start();
  }
  killed_at(40, "p", 2);
  const quarantine q = start();
  ASSERT_EQ(q.news().size(), 1u);
  EXPECT_NE(q.news()[0].sentence().find("at offset 42 of in-1: it was killed 3 times in a row"),
            std::string::npos)
      << q.news()[0].sentence();
  EXPECT_TRUE(q.suspicions().empty());
  const quarantine later = start();
  EXPECT_TRUE(later.news().empty());
  EXPECT_NE(later.find("p", "hash"), nullptr);
  EXPECT_EQ(later.find("p", "another library"), nullptr);

  ASSERT_TRUE(quarantine::pardon(directory_.path(), "p"));
  killed_at(42);
  EXPECT_TRUE(start().news().empty()) << "once pardoned, it has three lives again";
}

TEST_F(quarantine_test, whoever_gets_on_is_innocent) {
  for (int64_t offset = 40; offset < 50; ++offset) {
    killed_at(offset);
    const quarantine q = start();
    EXPECT_TRUE(q.news().empty());
    EXPECT_EQ(q.suspicions().at(0).times, 1u);
  }
}

TEST_F(quarantine_test, a_run_that_ends_otherwise_ends_the_row) {
  for (int round = 0; round < 4; ++round) {
    killed_at(42);
    start();
    killed_at(42);
    EXPECT_EQ(start().suspicions().at(0).times, 2u);
    ended();
    EXPECT_TRUE(start().suspicions().empty());
  }
}

TEST_F(quarantine_test, a_start_that_came_to_no_call_changes_nothing) {
  killed_at(42);
  start();
  EXPECT_EQ(start().suspicions().at(0).times, 1u);
  killed_at(42);
  EXPECT_EQ(start().suspicions().at(0).times, 2u);
}

TEST_F(quarantine_test, calls_at_no_record_do_not_count) {
  for (int round = 0; round < 5; ++round) {
    killed_at(-1);
    const quarantine q = start();
    EXPECT_TRUE(q.news().empty());
    EXPECT_TRUE(q.suspicions().empty());
  }
}

TEST_F(quarantine_test, every_call_that_had_not_ended_is_counted_for_itself) {
  for (int64_t round = 0; round < 3; ++round) {
    killed_at(42, "guilty", 0, 0);
    killed_at(round, "innocent", 0, 1);
    start();
  }
  const quarantine q = start();
  EXPECT_NE(q.find("guilty", "hash"), nullptr);
  EXPECT_EQ(q.find("innocent", "hash"), nullptr);
}

TEST_F(quarantine_test, a_suspects_file_that_somebody_has_written_over_is_no_evidence) {
  for (const std::string junk : {"p\thash\tin\t1\t42\tmany\n", "p\thash\tin\n\n\xff\xfe", "\t\t\t\t\t\t\n"}) {
    std::ofstream(directory_ / "suspects") << junk;
    killed_at(42);
    const quarantine q = start();
    EXPECT_TRUE(q.news().empty());
    ASSERT_EQ(q.suspicions().size(), 1u);
    EXPECT_EQ(q.suspicions()[0].times, 1u);
  }
}

// Sanitizers have handlers and stacks of their own.
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)

// Writes over everything between here and the end of its thread's stack.
[[gnu::noinline]] void smash() {
  volatile char here[16] = {};
  volatile char* to = here;
  for (int i = 0; i < 64 * 1024; ++i) to[i] = 0x41;
}

[[gnu::noinline]] void leak() {
  constexpr size_t piece = 4u << 20;
  for (;;) {
    volatile char* leaked = new char[piece];
    for (size_t at = 0; at < piece; at += 4096) leaked[at] = 1;
    ::usleep(5000);
  }
}

class deadly_call_test : public quarantine_test {
 protected:
  // In a process of its own, which does not survive it.
  void call(const std::function<void()>& what, bool is_on_a_thread) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto crumb = std::make_shared<breadcrumb>(crumb_path());
      install_handlers();
      // Not on the stack, where it would be smashed.
      auto* const watching = new watchdog(60'000, 64 << 20);
      watching->watch(crumb);
      const auto run = [&] {
        guard_thread();
        const in_call noted(crumb.get(), "p", "hash", "in", 1);
        crumb->at(42);
        what();
      };
      if (is_on_a_thread)
        std::thread(run).join();
      else
        run();
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status)) << status;
  }
  std::string why() {
    const quarantine q = start();
    return q.news().empty() ? "nobody is blamed" : q.news()[0].why;
  }
};

TEST_F(deadly_call_test, one_that_smashes_the_stack_of_a_thread_is_known) {
  call(smash, true);
  EXPECT_EQ(why(), "SIGSEGV (Segmentation fault)");
}

TEST_F(deadly_call_test, one_that_smashes_the_main_stack_is_known) {
  call(smash, false);
  EXPECT_EQ(why(), "SIGSEGV (Segmentation fault)");
}

TEST_F(deadly_call_test, one_in_which_memory_grows_without_end_is_ended) {
  call(leak, true);
  EXPECT_EQ(why(), "the broker's memory grew by more than processor.call.memory.max.bytes in its call");
}

TEST_F(deadly_call_test, one_whose_process_is_killed_is_suspected) {
  call([] { ::raise(SIGKILL); }, true);
  const quarantine q = start();
  EXPECT_TRUE(q.news().empty());
  EXPECT_EQ(q.suspicions().size(), 1u);
}

#endif

}  // namespace
}  // namespace millrace::processors
