// record_block: the records of a stored batch, or of some that follow each other, laid out as processors see
// them.
//
// Decoded once for all processors of a partition; compressed records are inflated once. Views point into
// the batches (or their inflated bytes), which the block keeps alive. A block may be filled again; its memory
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

  // Adds the records of the next stored batch. False, and nothing has changed, if either of them holds
  // anything but plain records (control, transactional), or if it cannot be read. Requires: no records with
  // headers were asked for.
  bool add(slice batch);

  // Of the first batch.
  const protocol::batch_header& header() const { return pieces_.front().header; }
  size_t batch_count() const { return pieces_.size(); }
  // Whether the batches still have the checksums that they were stored with.
  bool is_intact() const;
  int64_t next_offset() const { return pieces_.back().header.next_offset(); }
  // The offset that follows the record at `offset`: that of the next batch behind the last record, since
  // compaction may have removed records there.
  int64_t offset_behind(int64_t offset) const {
    return bare_.empty() || offset >= bare_.back().offset ? next_offset() : offset + 1;
  }
  // Of the decompressed records.
  uint64_t plain_bytes() const;

  // The records at and behind `offset`, as many as begin within `bytes_max` of keys and values (at least
  // one, if there is any); with headers if asked for, else without.
  std::span<const millrace_record> from(int64_t offset, bool with_headers, uint64_t bytes_max = UINT64_MAX);
  // The records say that they come from the input of that number. (Each processor has its own numbers.)
  void come_from(uint32_t input);

 private:
  // One batch.
  struct piece {
    slice batch;
    slice plain;
    protocol::batch_header header;
  };
  result<void> decode(slice batch, slice plain);
  void add_headers();

  std::vector<piece> pieces_;
  std::vector<millrace_record> bare_;
  // Made when first asked for.
  std::vector<millrace_record> full_;
  std::vector<millrace_header> headers_;
  bool has_full_ = false;
  uint32_t input_ = 0;
};

}  // namespace millrace::processors
