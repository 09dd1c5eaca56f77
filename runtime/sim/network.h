// sim_network: sockets in memory, between the shards of one sim_world.
//
// A connection is two pipes with a bounded buffer each. Sends are accepted in parts and reads return
// parts, cut at seeded places, so that code which expects whole messages fails here and not in
// production. Ports are global; the address only picks the family that peers are shown.
//
// Runs under the world's single thread. Sockets may be used from any simulated shard.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "base/prng.h"
#include "runtime/backend.h"
#include "runtime/io_op.h"

namespace millrace::runtime {

// Where a finished socket operation is reported: the backend that submitted it.
class sim_completions {
 public:
  virtual ~sim_completions() = default;
  virtual void complete_later(io_op& op, int64_t result) = 0;
};

class sim_network {
 public:
  explicit sim_network(uint64_t seed) : random_(seed) {}

  // --- For tests ---

  // Both ends of every open connection fail with ECONNRESET.
  void reset_connections();
  size_t connection_count() const;
  // Cuts reads and writes into pieces of at most this many bytes (default 64 KiB).
  void set_piece_bytes_max(size_t bytes) { piece_bytes_max_ = bytes; }

  // --- For the backends ---

  int listen(const socket_address& address, socket_address& bound);
  void submit(io_op& op, sim_completions& home);
  // True if the operation was waiting; the caller completes it.
  bool cancel(io_op& op);
  void shutdown(int fd);
  void close(int fd);
  bool owns(int fd) const { return sockets_.contains(fd); }

 private:
  struct parked {
    io_op* op = nullptr;
    sim_completions* home = nullptr;
    void finish(int64_t result);
  };

  struct socket {
    bool is_listener = false;
    bool is_shut = false;
    bool is_reset = false;
    uint16_t port = 0;
    socket_address own;
    int peer = -1;                   // descriptor of the other end; -1 once it is closed
    bool peer_ended = false;         // no more bytes will come
    std::deque<std::byte> received;  // arrived, not read yet
    std::deque<int> backlog;         // listener: connections not accepted yet
    parked reader;                   // receive or accept
    parked writer;                   // send
  };

  void connect(io_op& op, sim_completions& home);
  void try_accept(socket& s);
  void try_receive(socket& s);
  void try_send(socket& s);

  prng random_;
  size_t piece_bytes_max_ = 64 * 1024;
  std::map<int, socket> sockets_;
  std::map<uint16_t, int> listeners_;
  int next_fd_ = 1'000'000;
  uint16_t next_port_ = 20'000;
};

}  // namespace millrace::runtime
