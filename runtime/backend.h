// backend: the bottom of a shard, the one interface between Millrace and an operating system.
//
// Three implementations: uring (io_uring, the default), epoll (readiness plus a few threads for
// files, for places where io_uring is refused) and sim (memory, virtual clock, injected faults). All
// code above file, fs, net and reactor is the same on each.
//
// A backend belongs to one reactor and is called from its thread only, except wake().
// Completions are never delivered from inside submit(): they come out of turn(), as a list.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "runtime/clock.h"
#include "runtime/io_op.h"

namespace millrace::runtime {

// How long a start waits for what the kernel still holds for a killed predecessor (ports, file locks):
// io_uring lets go of it a moment after the process is gone.
inline constexpr nanoseconds predecessor_patience = std::chrono::seconds(5);

struct listen_options {
  bool reuse_port = false;
  int backlog = 1024;
  // How long to try again while the port is in use.
  nanoseconds patience{0};
};

class backend {
 public:
  virtual ~backend() = default;

  // "io_uring", "epoll" or "sim".
  virtual std::string_view name() const noexcept = 0;

  // Takes the operation; it is handed to the kernel by the next turn() at the latest.
  virtual void submit(io_op& op) = 0;
  // Asks for an early end of a submitted socket operation. It still completes through turn(), with
  // -ECANCELED or with whatever it had achieved. File operations are not cancelled.
  virtual void cancel(io_op& op) = 0;
  // Hands over what was submitted, then moves finished operations to `done`. Waits for the first of
  // them for as long as `wait` (nothing = without limit, zero = not at all) or until wake().
  virtual void turn(std::optional<nanoseconds> wait, op_list& done) = 0;
  // Ends a waiting turn(), or keeps the next one from waiting. Any thread.
  virtual void wake() noexcept = 0;

  virtual time_point monotonic_now() noexcept = 0;
  virtual int64_t wall_clock_ms() noexcept = 0;

  // Immediate calls; a negative errno where they fail.
  // A listening socket on `address`; `bound` receives the address with the port chosen.
  virtual int listen(const socket_address& address, const listen_options& options, socket_address& bound) = 0;
  // Ends both directions: pending and later operations on `fd` complete at once.
  virtual void shutdown(int fd) noexcept = 0;
  // Requires: no operation pending on `fd`.
  virtual void close_now(int fd) noexcept = 0;
  // The same for a file, where it can be on a helper thread: the last close of a removed file gives its
  // blocks back, which takes milliseconds, with online discard tens of them.
  virtual void close_behind(int fd) noexcept { close_now(fd); }
  // Whether file operations that block may be done at once, on the loop's own thread: while a broker starts,
  // nobody waits for anything else, and handing an operation to a helper thread and back takes longer than
  // most take.
  virtual void may_block(bool) noexcept {}
  // Takes an exclusive lock owned by the open file description. -EAGAIN if somebody else has it.
  virtual int lock_file(int fd) noexcept = 0;
};

}  // namespace millrace::runtime
