// partition_scan: one partition's directory read from end to end, and how it will look when it is taken over.
//
// Every batch is checked: its frame, its checksum, that offsets go up and belong to the segment. The tail
// that an unclean stop left torn is cut, in the last segment only; all else that is wrong is an error that
// names the file and the byte. Left-over files (.deleted, .cleaned, .snapshot, ...) are passed over, indexes
// are made anew from the batches.
//
// Transactions: a marker decides the batches of its producer since the last one. Batches of aborted
// transactions may be left out, as Kafka's own cleaner does; everything else stays byte for byte.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/checkpoint.h"
#include "tools/migrate/disk.h"
#include "tools/migrate/kafka_logs.h"

namespace millrace::tools {

struct aborted_transaction {
  int64_t producer_id = -1;
  int64_t first_offset = -1;
  int64_t last_offset = -1;  // of the marker
  int64_t stable_offset = -1;
  int64_t segment_base = 0;  // that holds the marker
};
struct open_transaction {
  int64_t producer_id = -1;
  int64_t first_offset = -1;
};

struct partition_plan {
  // Segments with complete indexes; sizes without what is left out.
  storage::checkpoint_partition described;
  struct source {
    std::string path;
    std::vector<byte_range> pieces;
  };
  std::vector<source> sources;  // of each segment

  std::vector<aborted_transaction> aborted;
  std::vector<open_transaction> open;  // sorted by offset
  uint64_t batches = 0;
  uint64_t records = 0;
  uint64_t bytes = 0;
  uint64_t records_left_out = 0;
  uint64_t torn_bytes = 0;
  std::string torn_file;
  int64_t producer_id_max = -1;
  int32_t epoch_max = -1;
};

struct scan_request {
  bool leave_aborted_out = false;
  std::function<void(uint64_t bytes)> on_progress;  // read so far of this partition
};

// Requires: nobody writes to it meanwhile.
result<partition_plan> scan_partition(const kafka_partition& from, const scan_request& request);

// Of all segments, for progress and for the space it takes.
uint64_t bytes_of_segments(const std::string& directory);

// `.index` and `.timeindex` of a planned segment.
result<void> write_indexes(const std::string& directory, const storage::segment& s);

}  // namespace millrace::tools
