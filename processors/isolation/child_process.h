// child_process: this program, started anew to do something for it that may end badly.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <sys/types.h>

namespace millrace::processors {

// Closes it when it goes; -1 is none.
class descriptor {
 public:
  explicit descriptor(int fd = -1) : fd_(fd) {}
  ~descriptor() { reset(); }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  int get() const { return fd_; }
  void reset(int fd = -1);

 private:
  int fd_;
};

// `program` is what start_child() starts, most often this program itself. Before anything is loaded.
void set_child_program(std::string program);
bool has_child_program();

// A descriptor of this process, and the number that it gets in the child: 0, or one from 3 on, each once.
struct passed_descriptor {
  int mine;
  int there;
};

// Starts the program with one argument, as the leader of a process group of its own. 0, unless it is given,
// and 1 are /dev/null, 2 is this process's; others than those given are closed.
std::optional<pid_t> start_child(const char* name, const char* argument,
                                 std::span<const passed_descriptor> given);

// Kills it with all that it has started.
void kill_child(pid_t child);

// "crashed with SIGSEGV", "ended its process with exit code 3".
std::string describe_end(int wait_status);

}  // namespace millrace::processors
