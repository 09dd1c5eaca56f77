// epoll_backend: readiness for sockets, a few threads for files.
//
// For machines that refuse io_uring: containers with a strict seccomp profile, kernels with it switched
// off. It asks for nothing beyond what every container grants. Costs one more system call a socket
// operation and two thread switches a file operation; semantics are the same.
//
// Sockets are non-blocking and registered once, edge-triggered. An operation is first tried at once;
// if the kernel says "not yet" it is parked in its descriptor's slot, one per direction, and tried
// again when the descriptor becomes ready.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "runtime/kernel_backend.h"

namespace millrace::runtime {

class epoll_backend final : public kernel_backend {
 public:
  epoll_backend();
  ~epoll_backend() override;

  std::string_view name() const noexcept override { return "epoll"; }
  void submit(io_op& op) override;
  void cancel(io_op& op) override;
  void turn(std::optional<nanoseconds> wait, op_list& done) override;
  int listen(const socket_address& address, const listen_options& options, socket_address& bound) override;
  void close_now(int fd) noexcept override;

 private:
  // What waits for a descriptor to become readable and writable.
  struct parked {
    io_op* reader = nullptr;
    io_op* writer = nullptr;
  };

  void add_descriptor(int fd);
  void start_connect(io_op& op);
  // Tries the operation; false if it has to wait. Fills in op.result otherwise.
  bool attempt(io_op& op);
  void submit_socket(io_op& op);
  void on_ready(int fd, uint32_t events);
  void complete(io_op& op);
  int wait_for_events(void* events, int capacity, std::optional<nanoseconds> wait) noexcept;

  int epoll_fd_ = -1;
  bool has_fine_wait_ = true;  // epoll_pwait2; older seccomp profiles do not know it
  std::unordered_map<int, parked> descriptors_;
  op_list finished_now_;
};

}  // namespace millrace::runtime
