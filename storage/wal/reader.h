// reader: the frames of one WAL file, in order.
//
// open() reads the file's first block, next() the frames behind it. Reads forward through a window, so that a
// frame is one slice of memory that may be kept; it grows, since of many files only the front matters. It
// stops at the first place that is not the next frame of the same generation; what that place means (the end,
// a torn write, damage) is for recovery to say, with find_later() as its evidence.
#pragma once

#include <cstdint>
#include <optional>

#include "base/buffer.h"
#include "base/result.h"
#include "runtime/file.h"
#include "runtime/task.h"
#include "storage/wal/frame.h"

namespace millrace::storage::wal {

using runtime::task;

struct found_frame {
  frame_header header;
  uint64_t position = 0;
  slice bytes;  // the whole padded frame, verified
};

class reader {
 public:
  // `file` must outlive the reader. Reads the first `capacity` bytes of it, a multiple of 4 KiB.
  reader(runtime::file& file, uint64_t capacity) : file_(file), capacity_(capacity) {}
  // For a row of frames without a first block: where it begins, and its generation.
  reader(runtime::file& file, uint64_t capacity, uint64_t position, uint64_t generation)
      : file_(file), capacity_(capacity), position_(position), generation_(generation) {}

  // The first block; nothing if it does not verify. Call before next().
  task<result<std::optional<file_header>>> open();
  // The next frame. Nothing where the row of frames ends: position() is that place.
  task<result<std::optional<found_frame>>> next();
  uint64_t position() const noexcept { return position_; }

  // The first frame that verifies at any later block and whose lsn is at least `lsn_min`; of the file's
  // generation, if its first block told it.
  task<result<std::optional<found_frame>>> find_later(lsn lsn_min);

 private:
  // At least `bytes` from `at` on, or all there is; valid until the next call unless kept by slicing.
  task<result<slice>> look(uint64_t at, uint64_t bytes);
  task<result<std::optional<found_frame>>> frame_at(uint64_t at);

  runtime::file& file_;
  uint64_t capacity_;
  uint64_t position_ = block_bytes;
  uint64_t generation_ = 0;
  lsn last_{0};
  slice window_;
  uint64_t window_at_ = 0;
  uint64_t window_bytes_ = 0;  // of the last one
};

}  // namespace millrace::storage::wal
