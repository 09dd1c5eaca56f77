// segment_scan: the batches of a segment file, one after the other, and an honest end.
//
// Where the next batch is not one, the scan looks for a later batch that verifies. If there is one, what
// lies between is damage to something that was written whole: corruption, and the scan goes on behind
// it. If there is none, the file ends in the middle of a write: a torn tail. A record that itself holds a
// copy of a batch can make a torn tail look like corruption; the reverse does not happen.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/buffer.h"
#include "base/result.h"
#include "protocol/record_batch.h"
#include "tools/log/file_window.h"
#include "tools/log/findings.h"

namespace millrace::tools {

struct located_batch {
  uint64_t position = 0;
  protocol::batch_header header;
  slice bytes;
  bool is_intact = true;  // the crc is right
};

class segment_scan {
 public:
  explicit segment_scan(file_window& file) : file_(file) {}

  // The next batch; nothing at the end or at a torn tail. Batches whose frame is whole but whose crc is
  // wrong are handed out too, as not intact. The error is one of reading the file.
  result<std::optional<located_batch>> next();

  uint64_t position() const noexcept { return position_; }
  // What was wrong so far.
  const std::vector<finding>& findings() const noexcept { return findings_; }

 private:
  result<std::optional<located_batch>> batch_at(uint64_t position, std::string* why_not);
  // The first intact batch at `from` or behind it that can follow what was read.
  result<std::optional<uint64_t>> find_later(uint64_t from);
  result<bool> is_all_zero(uint64_t from);
  void note(severity how_bad, uint64_t position, std::string what);

  file_window& file_;
  uint64_t position_ = 0;
  int64_t next_offset_min_ = 0;
  std::vector<finding> findings_;
};

// Walks the records of an intact batch: they must be as many as the header says, with increasing offsets
// within it. The error says what is wrong.
result<void> check_records(const located_batch& batch);

}  // namespace millrace::tools
