// reading: what a cluster's counters say at one moment, and what two of them say together.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/kafka/groups.h"

namespace millrace::tools {

using moment = std::chrono::steady_clock::time_point;

// Next offsets, by topic and partition.
using topic_ends = std::map<std::string, std::map<int32_t, int64_t>>;

struct group_reading {
  moment at;  // groups are read in turn, so not all at the same moment
  std::string state;
  std::map<topic_partition, int64_t> committed;
};

struct processor_reading {
  std::string name;
  std::string state;
  std::string input;
  int64_t lag = 0;
  uint64_t records_in = 0;
  uint64_t records_out = 0;
};

struct shard_reading {
  uint32_t shard = 0;
  uint64_t partitions = 0;
  double cpu_seconds = 0;
  uint64_t commits = 0;
  uint64_t appended_bytes = 0;
  uint64_t cached_bytes = 0;
};

// What only a Millrace on this machine tells, through its admin socket.
struct own_reading {
  std::vector<processor_reading> processors;
  std::vector<shard_reading> shards;
};

struct reading {
  moment at;
  int64_t time_ms = 0;  // since 1970
  std::string cluster_id;
  size_t brokers = 0;
  topic_ends ends;
  std::map<std::string, group_reading> groups;
  std::optional<own_reading> own;
};

struct topic_row {
  std::string name;
  size_t partitions = 0;
  int64_t end = 0;  // the sum of its partitions' next offsets
  double per_second = 0;
};
struct group_row {
  std::string name;
  std::string state;
  std::string topic;
  int64_t lag = 0;
  double per_second = 0;  // commits move so fast
};
struct processor_row {
  processor_reading now;
  double in_per_second = 0;
  double out_per_second = 0;
};
struct shard_row {
  shard_reading now;
  double busy = 0;  // of one processor, 0 to 1
  double bytes_per_second = 0;
  double commits_per_second = 0;
};

// What `millrace top` shows. The busiest first.
struct snapshot {
  int64_t time_ms = 0;
  double seconds = 0;  // between the two readings
  std::string cluster_id;
  size_t brokers = 0;
  std::vector<topic_row> topics;
  std::vector<group_row> groups;  // one for each topic that a group has committed offsets of
  std::optional<std::vector<processor_row>> processors;
  std::optional<std::vector<shard_row>> shards;
};

// What was not there before, or went back (a broker began anew), has no rate yet: 0.
snapshot compare(const reading& before, const reading& now);

}  // namespace millrace::tools
