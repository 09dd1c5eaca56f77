// frame_reader: cuts a connection's byte stream into requests.
//
// A request is an int32 length and as many bytes. Small requests, several at a time perhaps, come out of one
// read; the rest of a large one is read straight into its own memory, so the bytes of a batch are copied
// once, into the log's frame. A buffer grows with what arrives, never with what is announced.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/buffer.h"
#include "base/result.h"
#include "broker/server/request_memory.h"
#include "runtime/net.h"
#include "runtime/task.h"

namespace millrace::broker {

struct request_frame {
  slice bytes;  // header and body, without the length
  request_memory::charge memory;
};

class frame_reader {
 public:
  struct limits {
    int32_t frame_bytes_max;
    runtime::nanoseconds memory_patience;
  };
  // Told when bytes arrived; `is_mid_frame` says whether a request has begun and is not complete.
  using progress = std::function<void(bool is_mid_frame)>;

  frame_reader(runtime::stream& from, request_memory& memory, limits l, progress on_progress)
      : stream_(from), memory_(memory), limits_(l), on_progress_(std::move(on_progress)) {}

  // The next request; nothing when the peer has ended the connection between two of them. Errors: malformed
  // for a length that cannot be, limit_exceeded when there was no memory for it, closed.
  runtime::task<result<std::optional<request_frame>>> next();

 private:
  static constexpr size_t input_bytes = 4096;
  // Up to this a frame's memory is taken at once; beyond it in steps of four times as much.
  static constexpr size_t whole_frame_bytes = 2 * 1024 * 1024;

  // Reads until `count` bytes are in input_. False at the end of the stream.
  runtime::task<result<bool>> fill(size_t count);
  runtime::task<result<slice>> read_body(size_t size, request_memory::charge& memory);

  runtime::stream& stream_;
  request_memory& memory_;
  limits limits_;
  progress on_progress_;

  buffer input_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace millrace::broker
