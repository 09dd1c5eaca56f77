#include "tools/cli/interrupt.h"

#include <atomic>
#include <signal.h>
#include <unistd.h>

#include "base/assert.h"

namespace millrace::tools {

namespace {

// Lock-free atomics are safe in a signal handler and across librdkafka's threads.
std::atomic<int> received_signal{0};
std::atomic<bool> finishing_allowed{false};
std::atomic<void (*)()> last_action{nullptr};
static_assert(std::atomic<void (*)()>::is_always_lock_free);
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

exit_code code_of(int signal_number) {
  return signal_number == SIGTERM ? exit_code::terminated : exit_code::interrupted;
}

void on_signal(int signal_number) {
  const int earlier = received_signal.exchange(signal_number);
  if (earlier == 0 && finishing_allowed.load()) return;
  if (void (*action)() = last_action.load(); action != nullptr) action();
  _exit(static_cast<int>(code_of(signal_number)));
}

}  // namespace

void install_signal_handlers() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  // No SA_RESTART: a read of standard input that waits for a terminal must return.
  MR_ASSERT(sigaction(SIGINT, &action, nullptr) == 0);
  MR_ASSERT(sigaction(SIGTERM, &action, nullptr) == 0);
  action.sa_handler = SIG_IGN;
  MR_ASSERT(sigaction(SIGPIPE, &action, nullptr) == 0);
}

bool interrupted() noexcept {
  return received_signal.load(std::memory_order_relaxed) != 0;
}

exit_code interrupted_exit_code() noexcept {
  return code_of(received_signal.load());
}

void before_forced_exit(void (*action)()) noexcept {
  last_action.store(action);
}

interruptible::interruptible() noexcept {
  finishing_allowed.store(true);
}

interruptible::~interruptible() {
  finishing_allowed.store(false);
}

}  // namespace millrace::tools
