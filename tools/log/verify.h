// verify: reads a file from one end to the other and says what is wrong with it.
#pragma once

#include <functional>

#include "base/result.h"
#include "tools/log/findings.h"
#include "tools/log/paths.h"

namespace millrace::tools {

struct verify_options {
  bool is_deep = false;  // decompress and walk every record, too
  // Called now and then with the bytes of the file read so far.
  std::function<void(uint64_t)> on_progress;
};

// Requires: `file` is a segment or a WAL file. The error is one of reading; what is wrong with the
// contents is in the report.
result<file_report> verify_file(const log_file& file, const verify_options& options);

}  // namespace millrace::tools
