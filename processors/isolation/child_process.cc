#include "processors/isolation/child_process.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace millrace::processors {
namespace {

std::string& child_program() {
  static std::string program;
  return program;
}

}  // namespace

void descriptor::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

void set_child_program(std::string program) {
  child_program() = std::move(program);
}

bool has_child_program() {
  return !child_program().empty();
}

std::optional<pid_t> start_child(const char* name, const char* argument,
                                 std::span<const passed_descriptor> given) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  // By way of numbers beyond all of them, since one that is wanted may be another one's own.
  int aside = 0;
  for (const passed_descriptor& d : given) aside = std::max({aside, d.mine + 1, d.there + 1});
  int last = STDERR_FILENO;
  for (const passed_descriptor& d : given) posix_spawn_file_actions_adddup2(&files, d.mine, aside + d.there);
  for (const passed_descriptor& d : given) {
    posix_spawn_file_actions_adddup2(&files, aside + d.there, d.there);
    last = std::max(last, d.there);
  }
  posix_spawn_file_actions_addclosefrom_np(&files, last + 1);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::string own_name = name;
  std::string own_argument = argument;
  char* const arguments[] = {own_name.data(), own_argument.data(), nullptr};
  pid_t child = -1;
  const int outcome = posix_spawn(&child, child_program().c_str(), &files, &attributes, arguments, environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (outcome != 0) return std::nullopt;
  return child;
}

void kill_child(pid_t child) {
  ::kill(-child, SIGKILL);
  ::kill(child, SIGKILL);
}

std::string describe_end(int wait_status) {
  if (!WIFSIGNALED(wait_status))
    return fmt::format("ended its process with exit code {}", WEXITSTATUS(wait_status));
  const int number = WTERMSIG(wait_status);
  const char* abbreviation = ::sigabbrev_np(number);
  return abbreviation ? fmt::format("crashed with SIG{}", abbreviation)
                      : fmt::format("crashed with signal {}", number);
}

}  // namespace millrace::processors
