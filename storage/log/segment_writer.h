// segment_writer: writes one whole segment with its indexes and checksums, under names with ".swap" behind.
//
// What compaction makes. Nothing is the log's until a checkpoint names it, so nothing needs to be durable
// before finish() has returned; the names are when the directory has been synced.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/result.h"
#include "base/types.h"
#include "runtime/file.h"
#include "runtime/task.h"
#include "storage/log/block_sums.h"
#include "storage/log/segment.h"

namespace millrace::storage {

struct segment_writer_options {
  std::string directory;
  offset base{0};
  uint32_t index_interval_bytes = 4096;
  bool direct = true;
};

class segment_writer {
 public:
  explicit segment_writer(segment_writer_options options);

  // Creates the file, or empties what an interrupted attempt left of it.
  runtime::task<result<void>> open();
  // Adds whole batches. Requires: their offsets go up. errc::disk_full and other errors: give it up.
  runtime::task<result<void>> add(bytes_view batches);
  // Writes what is left, indexes and checksums, and syncs them. The segment as a partition remembers it; its
  // end is for the caller to set.
  runtime::task<result<segment>> finish();
  // Removes what is there of the files. Errors are passed over: they would be removed by the next run, too.
  runtime::task<void> give_up();

  uint64_t written() const noexcept { return described_.written + filled_; }

 private:
  runtime::task<result<void>> flush(uint64_t bytes);
  runtime::task<result<void>> write_file(std::string path, std::vector<std::byte> bytes);
  void note(bytes_view batches);

  segment_writer_options options_;
  runtime::file file_;
  buffer block_;         // what waits to be written
  uint64_t filled_ = 0;  // of it
  segment described_;
  std::vector<batch_mark> marks_;
};

}  // namespace millrace::storage
