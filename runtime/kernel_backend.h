// kernel_backend: what the two backends on a real kernel have in common.
//
// Clocks, listening sockets, locks, the eventfd by which other threads end a wait, and the file pool
// with the way its results come home.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "runtime/backend.h"
#include "runtime/file_pool.h"

namespace millrace::runtime {

class kernel_backend : public backend {
 public:
  ~kernel_backend() override;

  void wake() noexcept override;
  time_point monotonic_now() noexcept override;
  int64_t wall_clock_ms() noexcept override;
  int listen(const socket_address& address, const listen_options& options, socket_address& bound) override;
  void shutdown(int fd) noexcept override;
  void close_now(int fd) noexcept override;
  void close_behind(int fd) noexcept override;
  int lock_file(int fd) noexcept override;
  void may_block(bool allowed) noexcept override { may_block_ = allowed; }

 protected:
  // `socket_flags`: what sockets are created with beside SOCK_CLOEXEC.
  kernel_backend(size_t file_threads, size_t commit_threads, int socket_flags);

  // Readable after wake().
  int wake_fd() const noexcept { return wake_fd_; }
  // To be called when wake_fd() was readable, before taking what others left.
  void clear_wake() noexcept;

  void submit_to_pool(io_op& op);
  void submit_to_commit_pool(io_op& op) { commit_pool_.submit(op); }
  // Moves what the pools have finished to `done`; returns how many.
  size_t take_from_pool(op_list& done) noexcept;
  bool pool_has_results() const noexcept {
    return !done_here_.empty() || finished_.load(std::memory_order_seq_cst) != nullptr;
  }

  // A socket for the family of `address`, or a negative errno.
  int make_socket(const socket_address& address) const noexcept;
  // What every connection gets: no delay for small answers, and an end for peers that are gone.
  static void prepare_connection(int fd) noexcept;

 private:
  void finish_elsewhere(io_op& op) noexcept;

  const int socket_flags_;
  int wake_fd_ = -1;
  std::atomic<bool> woken_{false};
  std::atomic<io_op*> finished_{nullptr};
  bool may_block_ = false;
  op_list done_here_;  // by this thread, while it may block
  file_pool pool_;
  file_pool commit_pool_;  // for writes with dsync, which nothing may hold up
};

}  // namespace millrace::runtime
