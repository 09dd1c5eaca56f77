// exit_code: what `millrace` tells the shell. Part of the documented interface; never renumber.
#pragma once

namespace millrace::tools {

enum class exit_code : int {
  ok = 0,
  failure = 1,        // the work could not be done, or something was found wrong; standard error says what
  usage = 2,          // the command line asks for something that does not exist; nothing was attempted
  interrupted = 130,  // Ctrl-C, as shells count it
  terminated = 143,   // SIGTERM, likewise
};

}  // namespace millrace::tools
