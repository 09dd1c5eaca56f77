// record_block: the records of one stored batch, laid out as processors see them.
//
// Decoded once for all processors of a partition; compressed records are inflated once. Views point into
// the batch (or its inflated bytes), which the block keeps alive. A block may be filled again; its memory
// is kept.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/result.h"
#include "processors/abi/millrace_processor.h"
#include "protocol/record_batch.h"

namespace millrace::processors {

class record_block {
 public:
  // Decodes `batch`, exactly one batch as the log stores it. `plain` may give its records decompressed, if
  // somebody has them. Error: corruption.
  result<void> fill(slice batch, slice plain = {});

  const protocol::batch_header& header() const { return header_; }
  const slice& batch() const { return batch_; }
  int64_t next_offset() const { return header_.next_offset(); }
  // The offset that follows the record at `offset`: that of the next batch behind the last record, since
  // compaction may have removed records there.
  int64_t offset_behind(int64_t offset) const {
    return bare_.empty() || offset >= bare_.back().offset ? next_offset() : offset + 1;
  }
  // Of the decompressed records.
  uint64_t plain_bytes() const { return plain_.size(); }

  // The records at and behind `offset`, as many as begin within `bytes_max` of keys and values (at least
  // one, if there is any); with headers if asked for, else without.
  std::span<const millrace_record> from(int64_t offset, bool with_headers, uint64_t bytes_max = UINT64_MAX);
  // The records say that they come from the input of that number. (Each processor has its own numbers.)
  void come_from(uint32_t input);

 private:
  void add_headers();

  slice batch_;
  slice plain_;
  protocol::batch_header header_;
  std::vector<millrace_record> bare_;
  // Made when first asked for.
  std::vector<millrace_record> full_;
  std::vector<millrace_header> headers_;
  bool has_full_ = false;
  uint32_t input_ = 0;
};

}  // namespace millrace::processors
