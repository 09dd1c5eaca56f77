#include "base/buffer.h"

#include <cstdlib>
#include <new>

namespace millrace {

namespace {
std::atomic<size_t> bytes_in_use{0};
}  // namespace

namespace detail {

void release(buffer_block* block) noexcept {
  if (block->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  bytes_in_use.fetch_sub(block->capacity, std::memory_order_relaxed);
  std::free(block->data);
  delete block;
}

}  // namespace detail

buffer buffer::allocate(size_t capacity) {
  auto* block = new detail::buffer_block;
  const bool whole_pages = capacity >= buffer_alignment;
  const size_t rounded = whole_pages ? align_up(capacity, buffer_alignment) : capacity;
  void* memory =
      whole_pages ? std::aligned_alloc(buffer_alignment, rounded) : std::malloc(rounded ? rounded : 1);
  MR_ASSERT(memory != nullptr);
  block->data = static_cast<std::byte*>(memory);
  block->capacity = rounded;
  bytes_in_use.fetch_add(rounded, std::memory_order_relaxed);
  buffer result;
  result.block_ = block;
  return result;
}

buffer buffer::copy_of(bytes_view bytes) {
  buffer copy = allocate(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.data(), bytes.data(), bytes.size());
  return copy;
}

void iobuf::to_iovecs(std::vector<iovec>& out) const {
  for (const slice& s : slices_) out.push_back({const_cast<std::byte*>(s.data()), s.size()});
}

slice iobuf::flatten() const {
  if (slices_.empty()) return {};
  if (slices_.size() == 1) return slices_.front();
  buffer whole = buffer::allocate(size_);
  size_t at = 0;
  for (const slice& s : slices_) {
    std::memcpy(whole.data() + at, s.data(), s.size());
    at += s.size();
  }
  return slice(std::move(whole), 0, size_);
}

size_t buffer_bytes_in_use() noexcept {
  return bytes_in_use.load(std::memory_order_relaxed);
}

}  // namespace millrace
