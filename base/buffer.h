// buffer, slice, iobuf: shared, immutable-once-published memory.
//
// A buffer is one aligned allocation with a reference count. A slice is a view that keeps its buffer
// alive. An iobuf is a short chain of slices: a response header followed by batches out of the cache,
// sent in one call without copying. Counts are atomic, so a slice may cross shards and be released
// anywhere; a count is touched once a batch, never once a record.
//
// Whoever allocates a buffer may write to it until the first slice of those bytes is handed to
// somebody else; from then on the bytes are immutable.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <sys/uio.h>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"

namespace millrace {

// Alignment of every buffer: what O_DIRECT asks for on all common disks.
inline constexpr size_t buffer_alignment = 4096;

namespace detail {
struct buffer_block {
  std::atomic<uint32_t> references{1};
  std::byte* data = nullptr;
  size_t capacity = 0;
};
void release(buffer_block* block) noexcept;
}  // namespace detail

// Shared ownership of one allocation. Null when default-constructed.
class buffer {
 public:
  buffer() = default;
  // `capacity` bytes; aligned to buffer_alignment from one page up, to 16 below. Uninitialised. Aborts when
  // memory is exhausted.
  static buffer allocate(size_t capacity);
  static buffer copy_of(bytes_view bytes);

  buffer(const buffer& other) noexcept : block_(other.block_) {
    if (block_) block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  buffer(buffer&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  buffer& operator=(buffer other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~buffer() {
    if (block_) detail::release(block_);
  }

  explicit operator bool() const noexcept { return block_ != nullptr; }
  std::byte* data() const noexcept { return block_ ? block_->data : nullptr; }
  size_t capacity() const noexcept { return block_ ? block_->capacity : 0; }
  bool is_unique() const noexcept {
    return block_ && block_->references.load(std::memory_order_acquire) == 1;
  }

 private:
  detail::buffer_block* block_ = nullptr;
};

// A view of part of a buffer that keeps it alive. An empty slice owns nothing.
class slice {
 public:
  slice() = default;
  // Requires: offset + size <= owner.capacity().
  slice(buffer owner, size_t offset, size_t size) : owner_(std::move(owner)), size_(size) {
    MR_ASSERT(offset + size <= owner_.capacity());
    data_ = owner_.data() + offset;
  }
  static slice copy_of(bytes_view bytes) { return slice(buffer::copy_of(bytes), 0, bytes.size()); }

  const std::byte* data() const noexcept { return data_; }
  size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  bytes_view view() const noexcept { return {data_, size_}; }
  operator bytes_view() const noexcept { return view(); }
  const buffer& owner() const noexcept { return owner_; }

  // Requires: offset + size <= this->size().
  slice sub(size_t offset, size_t size) const {
    MR_ASSERT(offset <= size_ && size <= size_ - offset);
    slice part = *this;
    part.data_ += offset;
    part.size_ = size;
    return part;
  }
  // The slice over `part`. Requires: `part` lies inside this slice.
  slice sub(bytes_view part) const { return sub(static_cast<size_t>(part.data() - data_), part.size()); }

 private:
  buffer owner_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// A chain of slices, most often one to four.
class iobuf {
 public:
  iobuf() = default;
  explicit iobuf(slice s) { append(std::move(s)); }

  void append(slice s) {
    if (s.empty()) return;
    size_ += s.size();
    slices_.push_back(std::move(s));
  }
  void append(const iobuf& other) {
    for (const slice& s : other.slices_) append(s);
  }

  size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  const std::vector<slice>& slices() const noexcept { return slices_; }
  void clear() {
    slices_.clear();
    size_ = 0;
  }

  // Appends one iovec per slice to `out`.
  void to_iovecs(std::vector<iovec>& out) const;
  // One contiguous slice with the same bytes; no copy if there is only one.
  slice flatten() const;

 private:
  std::vector<slice> slices_;
  size_t size_ = 0;
};

// Bytes now allocated by all buffers of the process.
size_t buffer_bytes_in_use() noexcept;

}  // namespace millrace
