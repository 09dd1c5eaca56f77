// topics: what a cluster holds, and creating and deleting it.
//
// Each call is one or a few requests and blocks until they are answered or the handle's timeout is over.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "tools/kafka/handle.h"

namespace millrace::tools {

struct partition_info {
  int32_t id = 0;
  int32_t leader = -1;  // -1: none
  std::vector<int32_t> replicas;
  std::vector<int32_t> in_sync;
};

struct topic_info {
  std::string name;
  std::vector<partition_info> partitions;  // in order of id
  size_t replication_factor() const { return partitions.empty() ? 0 : partitions.front().replicas.size(); }
  // Kafka's own bookkeeping: __consumer_offsets and the like.
  bool is_internal() const { return name.starts_with("__"); }
};

// Every topic, by name.
result<std::vector<topic_info>> list_topics(handle& client);
// One topic. unknown_topic_or_partition (with the nearest name there is) if it does not exist; it is
// never created by asking.
result<topic_info> find_topic(handle& client, const std::string& name);

struct offset_range {
  int64_t first = 0;  // of the oldest record still there
  int64_t next = 0;   // that the next record will get
  int64_t count() const { return next - first; }
};
// One for each partition, in the topic's order.
result<std::vector<offset_range>> offsets_of(handle& client, const topic_info& topic);
// The next offset of each partition of each topic, in their order; nothing where its leader does not answer.
result<std::vector<std::vector<std::optional<int64_t>>>> ends_of(handle& client,
                                                                 const std::vector<topic_info>& topics);
// The first offset in each partition whose record is not older than `timestamp_ms`; the end if there is none.
result<std::vector<int64_t>> offsets_at(handle& client, const std::string& topic,
                                        const std::vector<int32_t>& partitions, int64_t timestamp_ms);

struct config_entry {
  std::string name;
  std::optional<std::string> value;  // nothing: sensitive or unset
  std::string source;                // "topic", "broker", "default", ...
};
result<std::vector<config_entry>> configs_of(handle& client, const std::string& topic);

struct new_topic {
  std::string name;
  int32_t partitions = -1;  // -1: the broker's default
  int16_t replicas = -1;    // -1: the broker's default
  std::vector<property> configs;
};
// "key=value" each, as --config takes them.
result<std::vector<property>> parse_topic_configs(const std::vector<std::string>& texts);
// One result for each, in order. A topic that was created has its leaders elected when this returns.
result<std::vector<result<void>>> create_topics(handle& client, const std::vector<new_topic>& topics);
result<std::vector<result<void>>> delete_topics(handle& client, const std::vector<std::string>& names);

// `total`: how many the topic has afterwards; invalid_partitions if that is not more than before.
result<void> add_partitions(handle& client, const std::string& topic, int32_t total);

struct records_below {
  std::string topic;
  int32_t partition = 0;
  int64_t offset = -1;  // what lies below goes; -1: everything
};
// The first offset still there, for each, in order.
result<std::vector<result<int64_t>>> delete_records(handle& client, const std::vector<records_below>& what);

}  // namespace millrace::tools
