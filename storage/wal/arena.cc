#include "storage/wal/arena.h"

#include <algorithm>
#include <utility>

namespace millrace::storage::wal {

buffer arena::take(size_t bytes) {
  if (bytes > slab_bytes) return buffer::allocate(align_up(bytes, limits::block_bytes));
  // A pinned slab at the front must not hide idle ones behind it: look at a few, moving them back.
  constexpr int looks_max = 4;
  for (int i = 0; i < looks_max && !retired_.empty(); ++i) {
    buffer slab = std::move(retired_.front());
    retired_.pop_front();
    if (slab.is_unique()) return slab;
    retired_.push_back(std::move(slab));
  }
  return buffer::allocate(slab_bytes);
}

void arena::retire(buffer slab) {
  if (slab.capacity() != slab_bytes) return;
  retired_.push_back(std::move(slab));
  // Forget the oldest beyond the bound: if in use, its slices free it; if idle, it is freed now.
  while (retired_.size() * slab_bytes > idle_bytes_max_) retired_.pop_front();
}

}  // namespace millrace::storage::wal
