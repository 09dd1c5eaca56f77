// The choice of the backend, on whatever machine this is. Run once as it is and once under
// without_uring, which sets the stage for the refusal.
#include "runtime/probe.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <string>
#include <sys/resource.h>

namespace millrace::runtime {
namespace {

bool refused() {
  return std::getenv("MILLRACE_TEST_URING_REFUSED") != nullptr;
}

TEST(probe, automatic_takes_what_is_there) {
  testing::internal::CaptureStderr();
  auto first = make_backend(backend_choice::automatic);
  auto second = make_backend(backend_choice::automatic);
  const std::string said = testing::internal::GetCapturedStderr();
  ASSERT_TRUE(first && second);
  if (why_not_uring().empty()) {
    EXPECT_EQ((*first)->name(), "io_uring");
    EXPECT_EQ(said, "");
  } else {
    EXPECT_EQ((*first)->name(), "epoll");
    EXPECT_NE(said.find("seccomp"), std::string::npos) << "the warning names the remedy: " << said;
    EXPECT_EQ(said.find("io.backend=epoll"), said.rfind("io.backend=epoll"))
        << "one warning, not two: " << said;
  }
}

TEST(probe, uring_by_name_is_an_error_where_it_is_refused) {
  auto made = make_backend(backend_choice::uring);
  EXPECT_EQ(made.has_value(), why_not_uring().empty());
  if (!made) {
    EXPECT_NE(made.error().message.find("io_uring"), std::string::npos);
  }
}

TEST(probe, the_stage_is_set_as_announced) {
  if (!refused()) return;
  EXPECT_NE(why_not_uring().find("Operation not permitted"), std::string::npos) << why_not_uring();
  rlimit lockable{};
  ::getrlimit(RLIMIT_MEMLOCK, &lockable);
  EXPECT_EQ(lockable.rlim_max, 8U << 20);
}

TEST(probe, choices_are_parsed) {
  EXPECT_EQ(*parse_backend_choice("auto"), backend_choice::automatic);
  EXPECT_EQ(*parse_backend_choice("uring"), backend_choice::uring);
  EXPECT_EQ(*parse_backend_choice("epoll"), backend_choice::epoll);
  EXPECT_EQ(parse_backend_choice("kqueue").error().code, errc::invalid_config);
}

TEST(probe, open_file_limit_is_raised) {
  rlimit limit{};
  const uint64_t raised = raise_open_file_limit();
  ::getrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_EQ(raised, limit.rlim_max);
}

}  // namespace
}  // namespace millrace::runtime
