// offset_plan: which partitions of a group a command means, and where their offsets shall go.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "tools/kafka/groups.h"

namespace millrace::tools {

// How users name partitions: topics ("orders", all partitions; "orders:0,2", two of them), or all that the
// group has committed offsets for.
struct partition_choice {
  std::vector<std::string> topics;
  bool all_topics = false;
};

// Where offsets shall go.
struct offset_target {
  enum class kind { earliest, latest, current, offset, shift, time, file };
  kind to = kind::earliest;
  int64_t number = 0;  // offset, shift or milliseconds since 1970
  std::string path;    // lines "topic,partition,offset", or with the group's name in front
};

struct planned_offset {
  topic_partition where;
  std::optional<int64_t> before;  // nothing: none committed
  int64_t after = 0;
  bool was_clamped = false;  // the offset asked for lies outside the partition, so its nearest end was taken
};

// The partitions chosen; unknown_topic_or_partition if one does not exist.
result<std::vector<topic_partition>> chosen_partitions(handle& client, const partition_choice& choice,
                                                       const std::vector<committed_offset>& committed);

// By topic and partition. Asks the broker, changes nothing.
result<std::vector<planned_offset>> plan_offsets(handle& client, const std::string& group,
                                                 const partition_choice& choice, const offset_target& target);

}  // namespace millrace::tools
