// uring_backend: files and sockets through one io_uring per shard.
//
// One system call a turn does submission, waiting and the timeout. The ring is set up for a single
// thread that runs its own completions (SINGLE_ISSUER, DEFER_TASKRUN, COOP_TASKRUN), with fewer flags
// on older kernels. There is no kernel polling thread and no busy wait, and waiting is not accounted
// as waiting for I/O where the kernel allows to say so (IORING_ENTER_NO_IOWAIT), so that an idle
// broker looks idle.
//
// Reads, writes, syncs and sockets are ring operations. Names, allocation, truncation and closing go to
// one helper thread: the kernel would hand them to a worker of its own anyway, and truncation and
// listing have no ring operation on the kernels we support.
//
// A write with dsync is a thread's that waits in pwritev2(RWF_DSYNC). The kernel finishes an asynchronous
// one, unless the disk takes forced-unit-access writes, on a worker bound to the core that took the
// interrupt; with that core busy it waits for a scheduler tick or two, 4 to 8 ms at HZ=250 where the write
// itself takes 0.1. A write and then fdatasync on the ring has no such trap, but comes back to the loop in
// between, which may be busy, and hands the sync to a worker all the same (docs/wal-spike.md).
#pragma once

#include <cstdint>
#include <liburing.h>
#include <memory>

#include "base/result.h"
#include "runtime/kernel_backend.h"

namespace millrace::runtime {

class uring_backend final : public kernel_backend {
 public:
  // How writes with dsync are done; see above. `flag` (the ring's) is there to be measured.
  enum class dsync_by { thread, flag };

  // A ring for the calling thread; the error says what the kernel answered.
  static result<std::unique_ptr<uring_backend>> create(dsync_by dsync = dsync_by::thread);
  ~uring_backend() override;

  std::string_view name() const noexcept override { return "io_uring"; }
  void submit(io_op& op) override;
  void cancel(io_op& op) override;
  void turn(std::optional<nanoseconds> wait, op_list& done) override;

  // Whether the kernel offers every operation that submit() uses. Sends a NOP through as well.
  result<void> check_operations();
  unsigned setup_flags() const noexcept { return ring_.flags; }

 private:
  explicit uring_backend(dsync_by dsync);

  io_uring_sqe& next_sqe();
  void prepare_connect(io_op& op);
  void prepare_sync(io_op& op, bool data_only);
  // Publishes prepared entries to the kernel; returns how many it has not taken yet.
  unsigned flush() noexcept;
  void enter(unsigned wait_count, std::optional<nanoseconds> wait);
  void reap(op_list& done);
  void finish(io_op& op, int64_t result, op_list& done) noexcept;
  void watch_wake_fd();

  io_uring ring_{};
  bool ring_ready_ = false;
  const dsync_by dsync_;
  unsigned enter_flags_ = 0;
  op_list failed_early_;  // what never reached the kernel
  bool watching_wake_fd_ = false;
};

}  // namespace millrace::runtime
