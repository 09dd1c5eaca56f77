// guest_main: what a process that runs a processor does, from its start to its end. The other side is
// guest_process.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "processors/host/plugin.h"

namespace millrace::processors {

// The argument with which the program is started for it, and its descriptors.
inline constexpr const char* guest_argument = "--run-processor";
inline constexpr int guest_memory_fd = 3;
inline constexpr int guest_bell_fd = 4;
inline constexpr int guest_host_bell_fd = 5;
inline constexpr int guest_life_fd = 6;

// Loads the copy at `path`, which was given as `library`, with those options. Tests have processors that are
// linked in.
using guest_opener = std::function<result<std::shared_ptr<const plugin>>(
    const std::string& path, const std::string& library, const plugin::options& given)>;
result<std::shared_ptr<const plugin>> open_library(const std::string& path, const std::string& library,
                                                   const plugin::options& given);

// All that a program called with guest_argument does. Yields its exit code, if it has not been killed.
int run_guest(const guest_opener& open = open_library);

}  // namespace millrace::processors
