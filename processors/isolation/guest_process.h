// guest_process: the process in which a processor with isolation = "process" runs, seen from the broker.
//
// One for each processor on a shard, started with the first call and again whenever it has died; all
// partitions of the processor on that shard have their instances in it. State, timers and outputs stay with
// the broker: what the plugin asks of its host comes over the channel and is carried out by the same
// functions that a plugin in the broker calls, so results are the same, to the byte. The process may
// do what it likes: crash, hang (it is killed at the deadline), send nonsense, run out of memory; the call
// counts for nothing then, and is made again with another process.
//
// Belongs to the processor's thread (processor_thread), on which all calls are made; only the ends of
// instances come from the shard. It is killed when that thread or the broker ends, however that may be.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "processors/host/callee.h"
#include "processors/isolation/channel.h"
#include "processors/isolation/child_process.h"
#include "processors/isolation/wire.h"

namespace millrace::processors {

class guest_process {
 public:
  explicit guest_process(std::chrono::milliseconds deadline) : deadline_(deadline) {}
  ~guest_process();
  guest_process(const guest_process&) = delete;
  guest_process& operator=(const guest_process&) = delete;

 private:
  friend class guest;

  // How a call ended.
  struct answer {
    int32_t status = MILLRACE_ERROR;
    uint32_t records_done = 0;
    std::optional<uint32_t> refused;  // the first record of which something was refused
  };
  struct receiver {
    const millrace_host* host;
    millrace_scope* scope;
  };

  // A process that has loaded the processor's code; else why not.
  std::optional<callee_trouble> ensure(const deployed_processor& processor);
  std::optional<callee_trouble> load(const deployed_processor& processor);
  bool start();
  void stop();
  bool has_ended() const;
  // Sends one message and serves what comes until the answer. Nothing: the process is gone, and lost() says
  // why.
  std::optional<answer> call(wire type, const receiver& to);
  std::optional<answer> serve(const receiver& to);
  bool serve_one(wire type, const receiver& to);
  bool serve_state(wire type, const receiver& to, wire_reader& in);
  callee_trouble lost();
  uint64_t memory_bytes() const;
  void forget_later(uint64_t instance);
  void forget_ended();

  const std::chrono::milliseconds deadline_;
  pid_t child_ = -1;
  void* memory_ = nullptr;
  descriptor guest_bell_;
  descriptor host_bell_;
  descriptor life_;
  std::optional<channel> channel_;
  std::string loaded_;       // content, limit and options of what it runs
  uint64_t generation_ = 0;  // of processes
  uint64_t next_instance_ = 1;
  uint64_t received_bytes_ = 0;  // in this call
  wire_writer out_;
  std::string in_;
  std::vector<millrace_header> headers_;
  std::string explanation_;  // of a library that cannot be loaded

  std::mutex lock_;
  std::vector<uint64_t> ended_;  // instances to be destroyed
};

}  // namespace millrace::processors
