// span: a segment of a log, or what will be one when the batches in memory are spilled.
#pragma once

#include <cstdint>
#include <vector>

#include "storage/log/partition_log.h"

namespace millrace::storage {

struct span {
  offset base{0};
  offset end{0};
  uint64_t bytes = 0;
  int64_t oldest_ms = -1;  // the largest timestamp of its first batch
  int64_t newest_ms = -1;  // the largest timestamp of all
};

// All of a log, oldest first; the last one is the active segment. Where records have no timestamps the time
// of their last write stands in; -1 if that is not known either.
std::vector<span> spans_of(const partition_log& log, int64_t now_ms);

}  // namespace millrace::storage
