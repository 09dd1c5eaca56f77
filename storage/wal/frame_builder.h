// frame_builder: the open frame, gathering entries in arena memory until it is sealed.
//
// Entries are reserved, then filled in place by the caller before the next call. Sealing pads the frame
// to whole blocks, writes its header and checksum and gives the pieces to write. The bytes of a batch
// handed out as a slice stay where they are: slices of them are the cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/buffer.h"
#include "base/types.h"
#include "storage/wal/arena.h"
#include "storage/wal/frame.h"

namespace millrace::storage::wal {

// A frame ready to be written, or being written.
struct sealed_frame {
  millrace::lsn lsn{0};
  uint64_t bytes = 0;         // padded
  std::vector<slice> pieces;  // whole blocks each; the first begins with the header
};

class frame_builder {
 public:
  explicit frame_builder(arena& memory) : memory_(memory) {}

  // Starts a frame. Requires: none is open.
  void open(millrace::lsn lsn);
  bool is_open() const noexcept { return is_open_; }
  millrace::lsn lsn() const noexcept { return lsn_; }
  uint32_t entries() const noexcept { return entries_; }
  // As if sealed now.
  uint64_t bytes() const noexcept { return finished_bytes_ + align_up(used_, block_bytes) - piece_begin_; }
  // What the frame would measure with one more entry of this body.
  uint64_t bytes_with(size_t body_bytes) const noexcept;

  // Room for one entry's body, contiguous, uninitialised. Requires: the frame stays within frame_bytes_max.
  mutable_bytes add(entry_kind kind, uint8_t flags, size_t body_bytes);
  // The slice over bytes that add() has just returned.
  slice slice_of(bytes_view part) const;

  // Ends the frame. The header gets `generation` later, in finish(), when its file is known.
  sealed_frame seal();

  // Writes header and checksum. Requires: called once per sealed frame, before it is written.
  static void finish(sealed_frame& frame, uint64_t generation, int64_t wall_clock_ms);

 private:
  void end_piece();
  void begin_piece(size_t bytes);

  arena& memory_;
  buffer slab_;
  size_t piece_begin_ = 0;  // in slab_; a multiple of block_bytes
  size_t used_ = 0;         // end of what is written in slab_
  uint64_t finished_bytes_ = 0;
  std::vector<slice> pieces_;
  millrace::lsn lsn_{0};
  uint32_t entries_ = 0;
  bool is_open_ = false;
};

}  // namespace millrace::storage::wal
