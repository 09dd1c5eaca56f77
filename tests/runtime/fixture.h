// fixture: runs a test body as a coroutine on a real backend.
#pragma once

#include <cstdlib>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <utility>

#include "runtime/probe.h"
#include "runtime/reactor.h"

namespace millrace::runtime {

// A directory under the system's temporary one that disappears with the object.
class temporary_directory {
 public:
  temporary_directory() {
    const char* base = std::getenv("TMPDIR");
    std::string pattern = std::string(base ? base : "/tmp") + "/millrace-test-XXXXXX";
    const char* made = ::mkdtemp(pattern.data());
    EXPECT_NE(made, nullptr);
    path_ = pattern;
  }
  ~temporary_directory() { std::system(("rm -rf '" + path_ + "'").c_str()); }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

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
