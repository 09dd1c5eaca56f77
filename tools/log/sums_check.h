// sums_check: whether a segment's blocks are those that its `.sums` file was made of
// (storage/log/block_sums.h).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "tools/log/file_window.h"
#include "tools/log/findings.h"

namespace millrace::tools {

// Nothing found where there is no such file: the segment is Kafka's, or of an older Millrace. The error is
// one of reading.
result<std::vector<finding>> check_sums(file_window& segment);

}  // namespace millrace::tools
