// trial: a library is loaded by a child process first, before the broker does it.
//
// Loading runs a library's static constructors, and create() whatever its author wrote: either may crash,
// hang or call exit(). So the broker starts itself anew as a child (`--try-processor`, bounded in memory and
// time), which loads the library, checks its table, makes an instance and destroys it. Only what has come
// through that is loaded here. This guards against mistakes, not against malice: the child runs as the
// broker's user, and a library may behave otherwise the second time.
//
// Runs on: start-up and helper threads (blocking).
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/result.h"
#include "processors/host/plugin.h"
#include "processors/host/spec.h"

namespace millrace::processors {

// The error of a library that took its child down: it crashed, hung or left.
inline constexpr errc trial_died = errc::closed;

// Switches trials on: `program` is what to start with the argument trial_argument, most often this program
// itself. Before anything is loaded; without it there are none (tests that link the host have no such
// program).
void enable_trials(std::string program, std::chrono::milliseconds patience);

struct trial_outcome {
  // With isolation = "process": what the child has found it to be. The child has then been in the sandbox
  // that the code is to run in.
  std::optional<plugin::description> code;
};

// Lets a child load `copy`, the file that is to be loaded for the spec. trial_died with a sentence like "it
// crashed with SIGSEGV while loading"; fine if trials are off.
result<trial_outcome> try_out(const processor_spec& spec, const std::string& copy);

inline constexpr const char* trial_argument = "--try-processor";
// All that a program called with trial_argument does. Yields its exit code.
int run_trial();

}  // namespace millrace::processors
