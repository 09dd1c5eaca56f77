// batch_header_check: what a batch's header must satisfy wherever it is met, in a request or in a file.
// Everyone who steps from batch to batch asks here first, so that no length or offset computed from a header
// can wrap.
#pragma once

#include <limits>

#include "protocol/record_batch.h"

namespace millrace::protocol {

enum class header_problem : uint8_t { none, format, length, codec, numbers };

// Whether the batch is all there is not asked. When there is none, size_bytes() is at least
// batch_header_bytes, and last_offset() and next_offset() are not negative.
inline header_problem problem_of(const batch_header& h) noexcept {
  if (h.magic != batch_magic) return header_problem::format;
  if (h.batch_length < static_cast<int32_t>(batch_header_bytes - batch_prefix_bytes))
    return header_problem::length;
  if (!h.has_valid_codec()) return header_problem::codec;
  if (h.last_offset_delta < 0 || h.record_count < 0 || h.base_offset < 0 ||
      h.base_offset > std::numeric_limits<int64_t>::max() - h.last_offset_delta - 1)
    return header_problem::numbers;
  return header_problem::none;
}

}  // namespace millrace::protocol
