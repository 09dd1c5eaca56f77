#include "storage/wal/frame_builder.h"

#include <cstring>
#include <utility>

#include "base/assert.h"

namespace millrace::storage::wal {

namespace {
// Room that must be left in a slab for a frame to begin in it.
constexpr size_t frame_room_min = 2 * block_bytes;
}  // namespace

void frame_builder::open(millrace::lsn lsn) {
  MR_ASSERT(!is_open_);
  MR_ASSERT(used_ % block_bytes == 0);
  if (!slab_ || slab_.capacity() - used_ < frame_room_min) begin_piece(frame_room_min);
  piece_begin_ = used_;
  used_ += frame_header_bytes;
  finished_bytes_ = 0;
  entries_ = 0;
  lsn_ = lsn;
  is_open_ = true;
}

uint64_t frame_builder::bytes_with(size_t body_bytes) const noexcept {
  // At worst the entry goes to a new piece, behind the padding of this one.
  return bytes() + align_up(entry_header_bytes + align_up(body_bytes, entry_alignment), block_bytes) +
         block_bytes;
}

mutable_bytes frame_builder::add(entry_kind kind, uint8_t flags, size_t body_bytes) {
  MR_ASSERT(is_open_);
  const size_t whole = entry_header_bytes + align_up(body_bytes, entry_alignment);
  if (slab_.capacity() - used_ < whole) {
    end_piece();
    begin_piece(whole);
  }
  std::byte* header = slab_.data() + used_;
  store_le<uint8_t>(header, static_cast<uint8_t>(kind));
  store_le<uint8_t>(header + 1, flags);
  store_le<uint16_t>(header + 2, 0);
  store_le<uint32_t>(header + 4, static_cast<uint32_t>(body_bytes));
  std::memset(header + entry_header_bytes + body_bytes, 0, whole - entry_header_bytes - body_bytes);
  used_ += whole;
  ++entries_;
  return {header + entry_header_bytes, body_bytes};
}

slice frame_builder::slice_of(bytes_view part) const {
  return slice(slab_, static_cast<size_t>(part.data() - slab_.data()), part.size());
}

// Fills the current piece up to a whole block with a skip entry, so that the next piece of memory goes on
// right behind it in the file.
void frame_builder::end_piece() {
  const size_t end = align_up(used_, block_bytes);
  if (end > used_) {
    std::memset(slab_.data() + used_, 0, end - used_);
    store_le<uint8_t>(slab_.data() + used_, static_cast<uint8_t>(entry_kind::skip));
    store_le<uint32_t>(slab_.data() + used_ + 4, static_cast<uint32_t>(end - used_ - entry_header_bytes));
    ++entries_;
  }
  pieces_.emplace_back(slab_, piece_begin_, end - piece_begin_);
  finished_bytes_ += end - piece_begin_;
  used_ = end;
}

void frame_builder::begin_piece(size_t bytes) {
  if (slab_) memory_.retire(std::move(slab_));
  slab_ = memory_.take(bytes);
  piece_begin_ = 0;
  used_ = 0;
}

sealed_frame frame_builder::seal() {
  MR_ASSERT(is_open_);
  const size_t end = align_up(used_, block_bytes);
  std::memset(slab_.data() + used_, 0, end - used_);
  pieces_.emplace_back(slab_, piece_begin_, end - piece_begin_);

  sealed_frame frame;
  frame.lsn = lsn_;
  frame.bytes = finished_bytes_ + (end - piece_begin_);
  frame.pieces = std::move(pieces_);
  frame_header h;
  h.lsn = lsn_;
  h.bytes = static_cast<uint32_t>(finished_bytes_ + (used_ - piece_begin_));
  h.entries = entries_;
  store_header(const_cast<std::byte*>(frame.pieces.front().data()), h);

  pieces_.clear();
  used_ = end;
  is_open_ = false;
  return frame;
}

void frame_builder::finish(sealed_frame& frame, uint64_t generation, int64_t wall_clock_ms) {
  // The frame's own memory: nobody but the builder reads header bytes before they are written.
  auto* header = const_cast<std::byte*>(frame.pieces.front().data());
  store_le<uint64_t>(header + at::generation, generation);
  store_le<int64_t>(header + at::wall_clock, wall_clock_ms);
  uint64_t sum = generation;
  for (size_t i = 0; i < frame.pieces.size(); ++i) sum = chain_checksum(sum, frame.pieces[i], i == 0);
  store_le<uint64_t>(header + at::checksum, sum);
}

}  // namespace millrace::storage::wal
