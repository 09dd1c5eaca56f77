// fixture: runs a test body as a coroutine on a real backend.
#pragma once

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <utility>

#include "runtime/probe.h"
#include "runtime/reactor.h"
#include "tests/temporary_directory.h"

namespace millrace::runtime {

inline std::unique_ptr<reactor> make_reactor(backend_choice choice) {
  auto io = make_backend(choice);
  EXPECT_TRUE(io.has_value()) << (io ? "" : io.error().message);
  return std::make_unique<reactor>(reactor_options{}, std::move(*io));
}

// One test for each backend that this machine allows.
class on_each_backend : public testing::TestWithParam<backend_choice> {
 protected:
  void SetUp() override {
    if (GetParam() == backend_choice::uring && !why_not_uring().empty()) GTEST_SKIP() << why_not_uring();
    reactor_ = make_reactor(GetParam());
  }
  template <class T>
  T run(task<T> body) {
    return reactor_->run(std::move(body));
  }
  std::unique_ptr<reactor> reactor_;
};

inline std::string backend_test_name(const testing::TestParamInfo<backend_choice>& info) {
  return info.param == backend_choice::uring ? "uring" : "epoll";
}

#define MILLRACE_ON_EACH_BACKEND(suite)                                                            \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::Values(backend_choice::uring, backend_choice::epoll), \
                           backend_test_name)

}  // namespace millrace::runtime
