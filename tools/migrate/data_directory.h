// data_directory: what a Millrace that is stopped knows, read from its own files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/checkpoint.h"
#include "storage/meta_properties.h"
#include "storage/metadata_log.h"

namespace millrace::tools {

struct data_directory {
  bool is_new = true;  // no broker has run in it yet
  storage::meta_properties meta;
  storage::metadata_state state;
};

// An empty state for a directory that is not there or holds nothing of Millrace's. Errors: damage, a newer
// format.
result<data_directory> read_data_directory(const std::string& path);
// The partitions of all shards. Requires: stopped cleanly.
result<std::vector<storage::checkpoint_partition>> read_partitions(const std::string& path, uint32_t shards);

}  // namespace millrace::tools
