#include "broker/server/frame_reader.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"

namespace millrace::broker {

using runtime::task;

task<result<std::optional<request_frame>>> frame_reader::next() {
  const result<bool> has_length = co_await fill(sizeof(int32_t));
  if (!has_length) co_return fail(has_length.error());
  if (!*has_length) {
    if (begin_ != end_) co_return fail(errc::malformed, "the connection ended inside a request's length");
    co_return std::nullopt;
  }
  const auto size = load_be<int32_t>(input_.data() + begin_);
  begin_ += sizeof(int32_t);
  // The smallest header is that of a request without a client id.
  if (size < 8 || size > limits_.frame_bytes_max) {
    co_return fail(errc::malformed, "a request of {} bytes; 8 to {} are possible", size,
                   limits_.frame_bytes_max);
  }
  request_frame frame{.bytes = {}, .memory = request_memory::charge(memory_)};
  result<slice> body = co_await read_body(static_cast<size_t>(size), frame.memory);
  if (!body) co_return fail(std::move(body).error());
  frame.bytes = *std::move(body);
  co_return std::optional<request_frame>(std::move(frame));
}

task<result<bool>> frame_reader::fill(size_t count) {
  if (!input_) input_ = buffer::allocate(input_bytes);
  if (begin_ == end_) begin_ = end_ = 0;
  if (input_bytes - begin_ < count) {
    std::memmove(input_.data(), input_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  while (end_ - begin_ < count) {
    const mutable_bytes room(input_.data() + end_, input_bytes - end_);
    const result<size_t> n = co_await stream_.read(room);
    if (!n) co_return fail(n.error());
    if (*n == 0) co_return false;
    end_ += *n;
    on_progress_(true);
  }
  co_return true;
}

task<result<slice>> frame_reader::read_body(size_t size, request_memory::charge& memory) {
  size_t capacity = std::min(size, whole_frame_bytes);
  buffer body = buffer::allocate(capacity);
  size_t have = std::min(size, end_ - begin_);
  std::memcpy(body.data(), input_.data() + begin_, have);
  begin_ += have;
  while (have < size) {
    if (have == capacity) {
      capacity = std::min(size, capacity * 4);
      buffer larger = buffer::allocate(capacity);
      std::memcpy(larger.data(), body.data(), have);
      body = std::move(larger);
    }
    // Room for the next piece is charged before it is read; the peer waits in TCP meanwhile.
    const size_t piece = std::min<size_t>(capacity - have, 256 * 1024);
    const bool has_room =
        co_await memory.grow_to(static_cast<int64_t>(have + piece), limits_.memory_patience);
    if (!has_room) co_return fail(errc::limit_exceeded, "no memory for a request of {} bytes", size);
    const mutable_bytes room(body.data() + have, piece);
    const result<size_t> n = co_await stream_.read(room);
    if (!n) co_return fail(n.error());
    if (*n == 0) co_return fail(errc::malformed, "the connection ended inside a request");
    have += *n;
    on_progress_(have < size);
  }
  on_progress_(false);
  co_return slice(std::move(body), 0, size);
}

}  // namespace millrace::broker
