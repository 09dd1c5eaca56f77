// all: the APIs that this broker serves.
#pragma once

#include <cstdint>
#include <span>

#include "broker/api/api.h"

namespace millrace::broker {

// Each is defined in its own file, NN_name.cc.
extern const api produce_api;
extern const api fetch_api;
extern const api list_offsets_api;
extern const api metadata_api;
extern const api offset_commit_api;
extern const api offset_fetch_api;
extern const api find_coordinator_api;
extern const api join_group_api;
extern const api heartbeat_api;
extern const api leave_group_api;
extern const api sync_group_api;
extern const api describe_groups_api;
extern const api list_groups_api;
extern const api api_versions_api;
extern const api create_topics_api;
extern const api delete_topics_api;
extern const api delete_records_api;
extern const api init_producer_id_api;
extern const api offset_for_leader_epoch_api;
extern const api describe_configs_api;
extern const api alter_configs_api;
extern const api alter_replica_log_dirs_api;
extern const api describe_log_dirs_api;
extern const api create_partitions_api;
extern const api delete_groups_api;
extern const api elect_leaders_api;
extern const api incremental_alter_configs_api;
extern const api alter_partition_reassignments_api;
extern const api list_partition_reassignments_api;
extern const api offset_delete_api;
extern const api describe_client_quotas_api;
extern const api describe_quorum_api;
extern const api update_features_api;
extern const api describe_cluster_api;
extern const api describe_producers_api;
extern const api consumer_group_heartbeat_api;
extern const api consumer_group_describe_api;
extern const api list_config_resources_api;
extern const api describe_topic_partitions_api;

// Sorted by key.
std::span<const api* const> all_apis();
// Null if it is not served.
const api* find_served_api(int16_t key) noexcept;

}  // namespace millrace::broker
