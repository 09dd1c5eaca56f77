// crowd: the clients of a load, each on a thread of its own, and the caller who watches them.
#pragma once

#include <functional>

#include "base/result.h"
#include "tools/bench/load.h"

namespace millrace::tools {

// Runs work(0) … work(clients - 1) at once and calls `watch` about ten times a second until all have ended.
// The error of the first in order that has one.
result<void> run_crowd(size_t clients, const std::function<result<void>(size_t)>& work,
                       const load_progress& progress, const load_watch& watch);

}  // namespace millrace::tools
