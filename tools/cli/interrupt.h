// interrupt: Ctrl-C and SIGTERM, safe at any point.
//
// By default either signal ends the program at once with the exit code shells expect: right for a verb
// that only asks the broker something. A verb with work to bring to an end (acknowledgements to wait
// for, offsets to commit) holds an `interruptible` and asks `interrupted()` between steps; a second
// signal then ends the program at once. SIGPIPE is ignored: a closed pipe shows as a failed write.
#pragma once

#include "tools/cli/exit_code.h"

namespace millrace::tools {

// Installs the handlers. Call once, before any other thread exists.
void install_signal_handlers();

// True once a signal has asked an `interruptible` to finish.
bool interrupted() noexcept;
// What to exit with after being interrupted. Requires: interrupted().
exit_code interrupted_exit_code() noexcept;

// What a signal does before it ends the program at once; only what a signal handler may do. Null: nothing.
void before_forced_exit(void (*action)()) noexcept;

class interruptible {
 public:
  interruptible() noexcept;
  ~interruptible();
  interruptible(const interruptible&) = delete;
  interruptible& operator=(const interruptible&) = delete;
};

}  // namespace millrace::tools
