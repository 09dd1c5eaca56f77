// signals: SIGTERM and its kind as something a coroutine waits for.
#pragma once

#include <initializer_list>
#include <signal.h>

#include "base/result.h"
#include "runtime/task.h"

namespace millrace::runtime {

// Blocks `signals` for this thread and all it starts from now on. Call first thing in main().
void block_signals(std::initializer_list<int> signals);

// Waits for one of `signals` (blocked before) and yields its number.
task<result<int>> next_signal(std::initializer_list<int> signals);

}  // namespace millrace::runtime
