// shard_server: the listening sockets and the connections of one shard.
//
// Every shard listens on the same ports (SO_REUSEPORT), and the kernel spreads new connections; a connection
// stays where it was accepted. Runs on: its shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include "base/result.h"
#include "broker/server/connection.h"
#include "broker/server/connection_quota.h"
#include "runtime/gate.h"
#include "runtime/net.h"

namespace millrace::broker {

class shard_server {
 public:
  shard_server(shard_context& shard, connection_quota& quota) : shard_(shard), quota_(quota) {}
  shard_server(const shard_server&) = delete;
  shard_server& operator=(const shard_server&) = delete;

  // Binds the listener of that number. `port` is the configured one, or what the first shard got for port 0;
  // gives the port bound. `is_shared`: other shards bind it, too.
  task<result<uint16_t>> bind(size_t listener, uint16_t port, bool is_shared);
  // Begins to accept, on everything bound. Requires: the node's advertised addresses are complete.
  void start();
  // Accepts no more, lets requests in progress finish for `patience`, then closes every connection.
  task<void> stop(runtime::nanoseconds patience);

  size_t connection_count() const noexcept { return connections_.size(); }

 private:
  struct bound {
    size_t index;
    std::unique_ptr<runtime::listener> listener;
  };

  task<void> accept_from(bound& from);
  task<void> serve(std::unique_ptr<runtime::stream> stream, size_t listener);

  shard_context& shard_;
  connection_quota& quota_;
  std::vector<std::unique_ptr<bound>> bound_;
  std::list<connection*> connections_;
  runtime::gate accepting_;
  runtime::gate serving_;
  bool stopping_ = false;
};

}  // namespace millrace::broker
