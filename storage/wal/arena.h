// arena: the memory frames are built in, which afterwards is the cache.
//
// Slabs of 256 KiB, aligned for direct I/O, handed out front to back. A batch is copied here once, when
// it is appended; from then on the WAL write, the cache and every consumer use these very bytes. A slab
// comes back for reuse when the last slice of it is gone, so that the broker works in warm memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "base/buffer.h"
#include "base/limits.h"

namespace millrace::storage::wal {

inline constexpr size_t slab_bytes = 256 * limits::KiB;

class arena {
 public:
  // At most `idle_bytes_max` of slabs nobody uses are kept.
  explicit arena(uint64_t idle_bytes_max) : idle_bytes_max_(idle_bytes_max) {}

  // A slab nobody else sees, of at least `bytes`. More than slab_bytes gives a slab of its own size.
  buffer take(size_t bytes);
  // Remembers the slab for reuse. Call once, when the last byte of it was handed out.
  void retire(buffer slab);

 private:
  uint64_t idle_bytes_max_;
  std::deque<buffer> retired_;  // oldest first: about the order in which they fall idle
};

}  // namespace millrace::storage::wal
