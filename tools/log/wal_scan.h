// wal_scan: the frames of one write-ahead log file (storage/wal/frame.h has the format).
//
// A file is used again without being erased, so what lies behind its last frame is an older use's and no
// finding. A place that should hold the next frame and does not is the end of the row, a torn write or
// damage; a later frame of the same use that verifies makes it damage.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "storage/wal/frame.h"
#include "tools/log/file_window.h"
#include "tools/log/findings.h"

namespace millrace::tools {

struct located_frame {
  uint64_t position = 0;
  storage::wal::frame_header header;
  slice bytes;  // padded
};

class wal_scan {
 public:
  explicit wal_scan(file_window& file) : file_(file) {}

  // Reads the file's first block. False: the file was never used.
  result<bool> open();
  const storage::wal::file_header& file_header() const noexcept { return file_header_; }

  // The next frame; nothing where the row ends.
  result<std::optional<located_frame>> next();
  uint64_t position() const noexcept { return position_; }
  const std::vector<finding>& findings() const noexcept { return findings_; }

 private:
  result<std::optional<located_frame>> frame_at(uint64_t position);
  // Where a later frame of this use of the file is.
  result<std::optional<uint64_t>> find_later(uint64_t from);

  file_window& file_;
  storage::wal::file_header file_header_;
  uint64_t position_ = storage::wal::block_bytes;
  lsn last_{0};
  std::vector<finding> findings_;
};

}  // namespace millrace::tools
