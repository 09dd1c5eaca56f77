// paths: which files a user means, and whether a broker is using them.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace millrace::tools {

enum class log_file_kind { segment, offset_index, time_index, wal };

struct log_file {
  std::string path;
  log_file_kind kind = log_file_kind::segment;
};

// A file as it is named; from a directory all segments and WAL files in and below it, in order of name,
// and the indexes too if asked for. not_found if there is no such path or nothing of the kind in it.
result<std::vector<log_file>> find_log_files(const std::vector<std::string>& paths, bool with_indexes);

// errc::locked if a broker, Millrace's or Kafka's, holds a data directory that one of `paths` is or lies in.
result<void> refuse_if_live(const std::vector<std::string>& paths);

}  // namespace millrace::tools
