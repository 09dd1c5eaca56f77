// settings: the configuration as the broker uses it, typed and checked as a whole.
//
// Made from config at the start, and again when clients change the configuration (dynamic.h). Each shard has
// a copy of its own, which changes between two of its steps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "broker/config/config.h"
#include "broker/config/listener_address.h"

namespace millrace::broker {

// Kafka allows listeners on one port of two families and several names (an inner and an outer network).
struct listener_settings {
  listener_address bind;
  listener_address advertised;  // port 0: the port bound
};

struct settings {
  std::vector<listener_settings> listeners;
  int32_t node_id = 1;
  std::optional<std::string> rack;
  std::optional<std::string> cluster_id;

  std::string data_directory;
  uint32_t shards = 1;
  std::string io_backend;
  int64_t shutdown_timeout_ms = 0;
  std::string admin_socket;  // empty: none
  bool is_admin_socket_given = false;
  std::string processor_directory;  // of what is deployed at run time
  int32_t processor_load_timeout_ms = 0;

  int64_t cache_bytes = 0;
  int64_t wal_file_bytes = 0;
  int64_t commit_delay_max_us = 0;
  bool direct_io = true;
  int64_t scrub_bytes_per_second = 0;
  int64_t retention_check_ms = 0;
  bool compacts = true;
  int64_t compaction_interval_ms = 0;
  int64_t compaction_map_bytes = 0;
  double compaction_map_load = 0;
  double compaction_bytes_per_second = 0;
  int64_t processor_hold_bytes_max = 0;
  int64_t processor_hold_ms_max = 0;

  int32_t request_bytes_max = 0;
  int32_t listen_backlog = 0;
  int64_t idle_timeout_ms = 0;  // negative: none
  int64_t stall_timeout_ms = 0;
  int32_t connections_max = 0;
  int32_t connections_per_address_max = 0;
  int32_t produce_inflight_max = 0;
  int64_t queued_request_bytes = 0;
  int64_t queued_response_bytes = 0;
  int32_t fetch_bytes_max = 0;
  int32_t fetch_sessions_max = 0;
  int32_t partitions_per_answer_max = 0;

  bool auto_create_topics = true;
  bool delete_topics = true;
  int32_t default_partitions = 1;
  int64_t producer_id_expiration_ms = 0;

  int32_t offsets_partitions = 50;
  int64_t offsets_segment_bytes = 0;
  int64_t offsets_retention_ms = 0;
  int64_t offsets_retention_check_ms = 0;
  int32_t offset_metadata_bytes_max = 0;
  int64_t group_initial_rebalance_delay_ms = 0;
  int64_t group_session_timeout_min_ms = 0;
  int64_t group_session_timeout_max_ms = 0;
  int32_t group_members_max = 0;
  int32_t consumer_session_timeout_ms = 0;
  int32_t consumer_session_timeout_min_ms = 0;
  int32_t consumer_session_timeout_max_ms = 0;
  int32_t consumer_heartbeat_interval_ms = 0;
  int32_t consumer_heartbeat_interval_min_ms = 0;
  int32_t consumer_heartbeat_interval_max_ms = 0;
  int32_t consumer_assignment_interval_ms = 0;
  int32_t consumer_assignment_interval_min_ms = 0;
  int32_t consumer_assignment_interval_max_ms = 0;
  int32_t consumer_members_max = 0;
  std::vector<std::string> consumer_assignors;
  bool may_upgrade_groups = true;    // from the classic to the consumer protocol
  bool may_downgrade_groups = true;  // and back
};

// Reads `given` and checks what concerns several keys at once. Fills in what depends on the machine: the
// number of cores, the host's name for a listener on every interface.
result<settings> make_settings(const config& given);

}  // namespace millrace::broker
