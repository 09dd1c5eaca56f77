#include "broker/api/all.h"

#include <algorithm>
#include <array>

namespace millrace::broker {

namespace {

// In the order of the keys.
constexpr std::array table = {
    &produce_api,
    &fetch_api,
    &list_offsets_api,
    &metadata_api,
    &offset_commit_api,
    &offset_fetch_api,
    &find_coordinator_api,
    &join_group_api,
    &heartbeat_api,
    &leave_group_api,
    &sync_group_api,
    &describe_groups_api,
    &list_groups_api,
    &api_versions_api,
    &create_topics_api,
    &delete_topics_api,
    &delete_records_api,
    &init_producer_id_api,
    &offset_for_leader_epoch_api,
    &describe_configs_api,
    &alter_configs_api,
    &alter_replica_log_dirs_api,
    &describe_log_dirs_api,
    &create_partitions_api,
    &delete_groups_api,
    &elect_leaders_api,
    &incremental_alter_configs_api,
    &alter_partition_reassignments_api,
    &list_partition_reassignments_api,
    &offset_delete_api,
    &describe_client_quotas_api,
    &describe_quorum_api,
    &update_features_api,
    &describe_cluster_api,
    &describe_producers_api,
    &consumer_group_heartbeat_api,
    &consumer_group_describe_api,
    &list_config_resources_api,
    &describe_topic_partitions_api,
};

}  // namespace

std::span<const api* const> all_apis() {
  return table;
}

const api* find_served_api(int16_t key) noexcept {
  const auto at =
      std::ranges::lower_bound(table, key, {}, [](const api* a) { return static_cast<int16_t>(a->key); });
  return at != table.end() && static_cast<int16_t>((*at)->key) == key ? *at : nullptr;
}

}  // namespace millrace::broker
