#include "runtime/signals.h"

#include <cerrno>
#include <sys/signalfd.h>
#include <unistd.h>

#include "runtime/errno_error.h"
#include "runtime/io_op.h"

namespace millrace::runtime {

namespace {

sigset_t set_of(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int s : signals) sigaddset(&set, s);
  return set;
}

task<result<int>> wait_on(int fd) {
  io_op op(io_kind::poll_readable, fd);
  const int64_t outcome = co_await op;
  signalfd_siginfo info{};
  const ssize_t got = outcome < 0 ? -1 : ::read(fd, &info, sizeof(info));
  ::close(fd);
  if (outcome < 0) co_return fail_errno("wait for", "a signal", outcome);
  if (got != sizeof(info)) co_return fail(errc::io_error, "cannot read a signal");
  co_return static_cast<int>(info.ssi_signo);
}

}  // namespace

void block_signals(std::initializer_list<int> signals) {
  const sigset_t set = set_of(signals);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

task<result<int>> next_signal(std::initializer_list<int> signals) {
  // The list's array dies with the caller's expression, so the descriptor is made before anything waits.
  const sigset_t set = set_of(signals);
  return wait_on(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

}  // namespace millrace::runtime
