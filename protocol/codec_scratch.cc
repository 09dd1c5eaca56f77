#include <algorithm>
#include <cstring>
#include <memory>

#include "protocol/codec_impl.h"

namespace millrace::protocol::codec_impl {

namespace {

// What a thread keeps between calls.
constexpr size_t kept_bytes_max = size_t{1} << 20;

struct memory {
  std::unique_ptr<std::byte[]> bytes;
  size_t capacity = 0;
};
thread_local memory thread_memory;

}  // namespace

scratch::~scratch() {
  if (thread_memory.capacity > kept_bytes_max) thread_memory = {};
}

mutable_bytes scratch::room(size_t wanted) {
  const size_t needed = used_ + std::min(wanted, left());
  if (needed > thread_memory.capacity) {
    const size_t capacity = std::max(needed, std::min(2 * thread_memory.capacity, bytes_max_));
    auto larger = std::make_unique_for_overwrite<std::byte[]>(capacity);
    if (used_ > 0) std::memcpy(larger.get(), thread_memory.bytes.get(), used_);
    thread_memory = {std::move(larger), capacity};
  }
  return {thread_memory.bytes.get() + used_, std::min(thread_memory.capacity, bytes_max_) - used_};
}

slice scratch::take() const {
  return slice::copy_of({thread_memory.bytes.get(), used_});
}

std::unexpected<error> too_large(size_t bytes_max) {
  return fail(errc::limit_exceeded, "more than {} bytes once decompressed", bytes_max);
}

std::unexpected<error> corrupt(codec c, const char* what) {
  return fail(errc::corrupt_message, "{}: {}", name_of(c), what);
}

}  // namespace millrace::protocol::codec_impl
