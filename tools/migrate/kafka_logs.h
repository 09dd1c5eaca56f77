// kafka_logs: what lies in the log directories of a Kafka that is stopped.
//
//   <topic>-<partition>/                  partition.metadata (the topic's id), segments,
//   leader-epoch-checkpoint log-start-offset-checkpoint           "0\n<count>\n<topic> <partition>
//   <offset>\n..."; also recovery-point-,
//                                         replication-, cleaner-offset-checkpoint
//   .kafka_cleanshutdown                  there after a clean stop
//   __cluster_metadata-0/                 topics and their configuration (cluster_metadata.h)
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/uuid.h"
#include "storage/log/epoch_cache.h"

namespace millrace::tools {

struct kafka_partition {
  std::string topic;
  int32_t partition = 0;
  std::string directory;
  std::string log_dir;
  std::optional<uuid> topic_id;
  int64_t log_start = -1;  // -1: where the first segment begins
};

struct kafka_logs {
  std::vector<kafka_partition> partitions;    // sorted by topic and number
  std::vector<std::string> metadata_logs;     // directories of __cluster_metadata-0
  std::vector<std::string> unclean_log_dirs;  // not stopped cleanly
};

// What Kafka keeps for itself and means nothing elsewhere.
bool is_kafka_internal(std::string_view topic);

using offset_checkpoint = std::map<std::pair<std::string, int32_t>, int64_t>;
// errc::corruption if it is not of that form.
result<offset_checkpoint> parse_offset_checkpoint(std::string_view text, const std::string& path);
std::string format_offset_checkpoint(const offset_checkpoint& offsets);
// An empty one if there is no such file.
result<offset_checkpoint> load_offset_checkpoint(const std::string& path);

// The lines of leader-epoch-checkpoint; nothing unless both columns increase.
std::optional<std::vector<storage::epoch_start>> parse_leader_epochs(std::string_view text);

// Errors: a directory that is none of Kafka's, a partition that lies in two places, a file that makes no
// sense.
result<kafka_logs> find_kafka_logs(const std::vector<std::string>& log_dirs);

}  // namespace millrace::tools
