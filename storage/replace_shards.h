// replace_shards: the same data under another number of shards.
//
// Segments do not know shards; WALs, checkpoints and placements do. So: open every shard as it was and
// stop it cleanly, which leaves its WAL empty and everything in its checkpoint; deal the checkpoints'
// partitions out anew. The steps survive a crash anywhere:
//
//   1. checkpoint.<shard>.of-<new count>   written for every new shard
//   2. meta.properties                     gets the new count: from here on the new placement holds
//   3. the files of step 1 take their names, WALs and checkpoints of shards that are gone are removed
//
// Step 3 runs at every start and finds nothing to do most of the time.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/task.h"
#include "storage/options.h"
#include "storage/types.h"

namespace millrace::storage {

struct replacement {
  std::string data_dir;
  uint32_t shards_before = 0;
  uint32_t shards_after = 0;
  std::vector<store_options> options_before;              // by old shard
  std::vector<std::vector<partition_spec>> specs_before;  // by old shard
  std::vector<std::vector<partition_spec>> specs_after;   // by new shard
};

// Step 1.
runtime::task<result<void>> write_replaced_checkpoints(replacement plan);
// Step 3, for the count that meta.properties has now.
runtime::task<result<void>> finish_replacement(std::string data_dir, uint32_t shards);

// Whether every shard's checkpoint is one of a clean stop.
runtime::task<result<bool>> checkpoints_are_clean(std::string data_dir, uint32_t shards);

}  // namespace millrace::storage
