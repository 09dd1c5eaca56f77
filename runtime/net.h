// net: byte streams and the listeners that accept them.
//
// A stream belongs to one shard. At most one read and one write are pending on it at a time; a read
// and a write may overlap. Closing while they are pending is fine: shutdown() makes both end soon with
// errc::closed, and close() waits until they have. A stream is destroyed only when nothing is pending.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/result.h"
#include "runtime/backend.h"
#include "runtime/task.h"

namespace millrace::runtime {

// What TLS implements as well as TCP.
class stream {
 public:
  virtual ~stream() = default;

  // At least one byte, or 0 when the peer has ended its side. `into` must stay until the task is done.
  virtual task<result<size_t>> read(mutable_bytes into) = 0;
  // All of it or an error. The slices are held until the kernel has taken them.
  virtual task<result<void>> write(iobuf data) = 0;
  // Several buffers in one call, in order. The buffers must stay until the task is done.
  virtual task<result<void>> write(std::span<const iobuf> data) = 0;
  // Whether file contents may go out without passing through our memory (plain sockets only).
  virtual bool can_sendfile() const noexcept = 0;
  // Ends both directions at once. Pending and later calls fail with errc::closed. May be repeated.
  virtual void shutdown() noexcept = 0;
  // shutdown(), then waits for what is pending, then frees the socket.
  virtual task<void> close() = 0;
  // "127.0.0.1:50123" or "[::1]:50123".
  virtual const std::string& peer() const noexcept = 0;
};

class listener {
 public:
  // `host` is an IPv4 or IPv6 address or a name; empty means every address of both families.
  // Port 0 picks a free one: ask port().
  static task<result<std::unique_ptr<listener>>> bind(std::string host, uint16_t port,
                                                      listen_options options = {});
  ~listener();

  // Waits for a connection; errc::closed after close(). Other errors (out of descriptors) pass: pause and
  // try again. One accept is pending at a time.
  task<result<std::unique_ptr<stream>>> accept();
  uint16_t port() const noexcept { return port_; }
  // Ends a pending accept and stops listening.
  void close() noexcept;

 private:
  listener(backend& io, int fd, uint16_t port) noexcept : io_(io), fd_(fd), port_(port) {}

  backend& io_;
  int fd_;
  uint16_t port_;
  bool closed_ = false;
  io_op* accepting_ = nullptr;
};

// A client's end, for tests and tools.
task<result<std::unique_ptr<stream>>> connect(std::string host, uint16_t port);

}  // namespace millrace::runtime
