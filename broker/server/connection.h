// connection: one client's stream of requests and answers.
//
// Two coroutines: one reads requests and runs them, the other sends answers. Requests run one after another,
// as Kafka's clients rely on, with one exception: a Produce only has to be *ordered* (its batches have their
// offsets) before the next request is read, not durable. So the produce requests of a connection share group
// commits. Whatever comes after a Produce and is not one waits until all answers before it are there.
//
//     bytes ─► frame_reader ─► header ─► api::run ─┬─► response_queue ─► stream
//                  │ memory                         │ one at a time, or pipelined
//                  ▼ charge                         ▼
//
// What a connection may cost is bounded: requests by request_memory, unsent answers by their number and by
// response_budget, time by two timers (idle between requests; stalled inside one or in sending).
//
// Lifetime: run() ends when the client leaves, misbehaves or stalls, or after stop(). Runs on one shard.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "broker/api/api.h"
#include "broker/server/frame_reader.h"
#include "broker/server/response_queue.h"
#include "runtime/event.h"
#include "runtime/gate.h"
#include "runtime/net.h"
#include "runtime/timer.h"

namespace millrace::broker {

class connection {
 public:
  connection(shard_context& shard, const listener_address& advertised,
             std::unique_ptr<runtime::stream> stream);
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  task<void> run();
  // Takes no more requests; what was read is answered first. run() then ends.
  void stop();
  // Ends at once.
  void cut();

  const std::string& peer() const noexcept { return stream_->peer(); }

 private:
  task<void> read_requests();
  // False: the connection is to be closed.
  task<bool> begin_request(request_frame frame);
  task<void> serve(const api& served, std::unique_ptr<request_context> context, request_memory::charge memory,
                   uint64_t slot);
  task<void> send_answers();
  task<result<void>> send(iobuf bytes);

  void on_read_progress(bool is_mid_frame);
  void arm_idle();
  bool is_idle() const noexcept { return answers_.empty() && !sending_; }

  shard_context& shard_;
  const listener_address& advertised_;
  std::unique_ptr<runtime::stream> stream_;
  frame_reader reader_;
  response_queue answers_;
  runtime::gate pipelined_;
  runtime::condition changed_;  // of answers_, stopping_, finished_reading_
  runtime::timer read_timer_;
  runtime::timer write_timer_;
  bool stopping_ = false;
  bool finished_reading_ = false;
  bool failed_ = false;
  bool sending_ = false;
  bool mid_frame_ = false;
};

}  // namespace millrace::broker
