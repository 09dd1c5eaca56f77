// export: topics of a stopped Millrace into the log directories of a stopped Kafka.
//
// The topic was created there first, with as many partitions, and keeps Kafka's id for it. Segments, indexes
// and Kafka's offset checkpoints are written so that Kafka takes them for its own after a clean stop. Two
// things belong to the cluster that gave them and do not go along: leader epochs (0 in every batch, outside
// its checksum) and the sequence numbers of idempotent producers (an empty snapshot at the log's end: Kafka
// hands out producer ids from 0 on, so those of here would meet others of the same number).
//
// Segments are complete, under another name, before any takes the place of what was there.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace millrace::tools {

struct export_request {
  std::string data_dir;
  std::vector<std::string> topics;
  std::vector<std::string> log_dirs;
  // Replaces logs that are not empty.
  bool is_forced = false;
};

struct exported_partition {
  std::string topic;
  int32_t partition = 0;
  std::string directory;
  uint64_t records = 0;
  uint64_t bytes = 0;
  int64_t log_start = 0;
  int64_t log_end = 0;
};

using export_progress = std::function<void(uint64_t done_bytes, uint64_t total_bytes)>;

// Requires: all directories are locked.
result<std::vector<exported_partition>> run_export(const export_request& request,
                                                   const export_progress& on_progress);

}  // namespace millrace::tools
