// guest_kit: processors that are linked into the test, run in processes of their own all the same.
//
// The test's program is started anew for each of them, and finds the code by name and version. So a main()
// that is run_tests(), or asks is_guest() first, belongs to every test that includes this.
#pragma once

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "processors/host/plugin.h"
#include "processors/isolation/child_process.h"
#include "processors/isolation/guest_main.h"

namespace millrace::processors::kit {

using code_list = std::vector<std::shared_ptr<const plugin>>;

inline std::string identity_of(const plugin& code) {
  return code.name() + " " + code.version();
}
inline std::shared_ptr<const plugin> code_like(const code_list& all, std::string_view identity) {
  for (const auto& code : all)
    if (identity_of(*code) == identity) return code;
  return nullptr;
}

// The same code, for isolation = "process".
inline std::shared_ptr<const plugin> elsewhere(const std::shared_ptr<const plugin>& code) {
  if (!has_child_program()) set_child_program("/proc/self/exe");
  return plugin::elsewhere(code->describe(), {"linked in", identity_of(*code), {}}).value();
}

// Whether this program was started to run one of `all`; then it has done so, and main() returns.
inline bool is_guest(int argc, char** argv, const code_list& all) {
  if (argc != 2 || std::string_view(argv[1]) != guest_argument) return false;
  const guest_opener open = [&all](const std::string& path, const std::string&,
                                   const plugin::options&) -> result<std::shared_ptr<const plugin>> {
    if (auto code = code_like(all, path)) return code;
    return fail(errc::not_found, "there is no {}", path);
  };
  run_guest(open);
  return true;
}

// What main() is then, in a test of GoogleTest's.
inline int run_tests(int argc, char** argv, const code_list& all) {
  if (is_guest(argc, argv, all)) return 0;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

}  // namespace millrace::processors::kit
