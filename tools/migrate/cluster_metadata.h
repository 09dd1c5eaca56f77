// cluster_metadata: topics as a Kafka in KRaft mode keeps them, in the log of __cluster_metadata-0.
//
// The directory holds snapshots (<20 digits: offset>-<10 digits: epoch>.checkpoint) and segments, both rows
// of record batches. A record's value is: frame version (unsigned varint, 1), record type, record version,
// then the record in the flexible encoding. Of the types only these matter here: topic, partition,
// configuration, topic removed. A newer version of a record only adds fields behind those that are read.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"
#include "base/uuid.h"
#include "storage/metadata_log.h"

namespace millrace::tools {

struct kafka_topic {
  uuid id;
  std::string name;
  int32_t partitions = 0;
  storage::config_map config;
};

// By name.
using kafka_topics = std::map<std::string, kafka_topic, std::less<>>;

// Errors: no snapshot and no segment, damage in one of them.
result<kafka_topics> read_cluster_metadata(const std::string& directory);

}  // namespace millrace::tools
