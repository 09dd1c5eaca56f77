// group_config: what an operator may set about groups; names of the keys beside them.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::broker::coord {

// group.consumer.migration.policy
struct migration_policy {
  bool may_upgrade = true;    // a member of the consumer protocol may come to a group of classic ones
  bool may_downgrade = true;  // a group whose last such member goes becomes a classic one
};

// What a group sets itself (configuration of resource GROUP).
struct own_times {
  std::optional<int32_t> session_timeout_ms;
  std::optional<int32_t> heartbeat_interval_ms;
  std::optional<int32_t> assignment_interval_ms;
};
using own_times_by_group = std::map<std::string, own_times, std::less<>>;

struct group_config {
  int32_t session_timeout_min_ms = 6'000;                     // group.min.session.timeout.ms
  int32_t session_timeout_max_ms = 1'800'000;                 // group.max.session.timeout.ms
  int32_t members_max = std::numeric_limits<int32_t>::max();  // group.max.size
  int32_t initial_rebalance_delay_ms = 0;                     // group.initial.rebalance.delay.ms
  int32_t offset_metadata_bytes_max = 4'096;                  // offset.metadata.max.bytes
  int64_t offsets_retention_ms = 7 * 24 * 3'600'000LL;        // offsets.retention.minutes
  int64_t retention_check_interval_ms = 600'000;              // offsets.retention.check.interval.ms

  // Groups of the consumer protocol; group.consumer.* each.
  int32_t consumer_session_timeout_ms = 45'000;    // session.timeout.ms
  int32_t consumer_heartbeat_interval_ms = 5'000;  // heartbeat.interval.ms
  // How long partitions are not divided anew after they were.                assignment.interval.ms
  int32_t consumer_assignment_interval_ms = 0;
  int32_t consumer_members_max = std::numeric_limits<int32_t>::max();  // max.size
  std::vector<std::string> assignors = {"uniform", "range"};           // assignors; the first is the default
  migration_policy migration;
  // Groups that are not in it go by the times above. May be null.
  std::shared_ptr<const own_times_by_group> own;

  int32_t session_timeout_ms_of(std::string_view group) const {
    return time_of(group, &own_times::session_timeout_ms, consumer_session_timeout_ms);
  }
  int32_t heartbeat_interval_ms_of(std::string_view group) const {
    return time_of(group, &own_times::heartbeat_interval_ms, consumer_heartbeat_interval_ms);
  }
  int32_t assignment_interval_ms_of(std::string_view group) const {
    return time_of(group, &own_times::assignment_interval_ms, consumer_assignment_interval_ms);
  }

  // A partition's log is not rewritten while it is shorter than this.
  uint64_t log_bytes_min = 4 << 20;

  // A member that is new and waits in a rebalance sends no heartbeats, and nobody notices when its client
  // gives up and tries again under a new id. So its JoinGroup waits this long at most.
  static constexpr int64_t new_member_join_ms_max = 5 * 60'000;

 private:
  int32_t time_of(std::string_view group, std::optional<int32_t> own_times::* time, int32_t otherwise) const {
    if (own == nullptr) return otherwise;
    const auto found = own->find(group);
    return found == own->end() ? otherwise : (found->second.*time).value_or(otherwise);
  }
};

}  // namespace millrace::broker::coord
