#include "broker/coord/group/consumer_records.h"

#include <algorithm>

#include "broker/coord/group/record_bytes.h"
#include "protocol/generated/consumer_group_current_member_assignment_key.h"
#include "protocol/generated/consumer_group_current_member_assignment_value.h"
#include "protocol/generated/consumer_group_member_metadata_key.h"
#include "protocol/generated/consumer_group_member_metadata_value.h"
#include "protocol/generated/consumer_group_metadata_key.h"
#include "protocol/generated/consumer_group_metadata_value.h"
#include "protocol/generated/consumer_group_regular_expression_key.h"
#include "protocol/generated/consumer_group_regular_expression_value.h"
#include "protocol/generated/consumer_group_target_assignment_member_key.h"
#include "protocol/generated/consumer_group_target_assignment_member_value.h"
#include "protocol/generated/consumer_group_target_assignment_metadata_key.h"
#include "protocol/generated/consumer_group_target_assignment_metadata_value.h"

namespace millrace::broker::coord {
namespace {

constexpr int16_t value_version = 0;

template <class Key>
std::vector<std::byte> key_of(std::string_view group) {
  Key key;
  key.group_id = group;
  return key_bytes(key);
}

template <class Key>
std::vector<std::byte> key_of(std::string_view group, std::string_view member) {
  Key key;
  key.group_id = group;
  key.member_id = member;
  return key_bytes(key);
}

template <class List>
void put_partitions(const topic_partitions& set, List& out) {
  for (const auto& [topic, partitions] : set) {
    auto& entry = out.emplace_back();
    entry.topic_id = topic;
    entry.partitions = partitions;
  }
}

template <class List>
topic_partitions partitions_from(List& list) {
  topic_partitions set;
  for (auto& entry : list) add_sorted(set, entry.topic_id, std::move(entry.partitions));
  return set;
}

std::vector<std::string> sorted(std::vector<std::string> names) {
  std::ranges::sort(names);
  const auto rest = std::ranges::unique(names);
  names.erase(rest.begin(), rest.end());
  return names;
}

group_epoch from(protocol::consumer_group_metadata_value&& v) {
  return {.epoch = v.epoch, .topics_hash = static_cast<uint64_t>(v.metadata_hash)};
}

target_epoch from(protocol::consumer_group_target_assignment_metadata_value&& v) {
  return {.epoch = v.assignment_epoch, .made_at_ms = v.assignment_timestamp};
}

consumer_subscription from(protocol::consumer_group_member_metadata_value&& v) {
  consumer_subscription m{.instance_id = std::move(v.instance_id),
                          .rack_id = std::move(v.rack_id),
                          .client_id = std::move(v.client_id),
                          .client_host = std::move(v.client_host),
                          .topics = sorted(std::move(v.subscribed_topic_names)),
                          .pattern = std::move(v.subscribed_topic_regex).value_or(""),
                          .rebalance_timeout_ms = v.rebalance_timeout_ms,
                          .assignor = std::move(v.server_assignor)};
  if (v.classic_member_metadata) {
    classic_side& classic = m.classic.emplace();
    classic.session_timeout_ms = v.classic_member_metadata->session_timeout_ms;
    for (auto& p : v.classic_member_metadata->supported_protocols) {
      classic.protocols.push_back({std::move(p.name), std::move(p.metadata)});
    }
  }
  return m;
}

topic_partitions from(protocol::consumer_group_target_assignment_member_value&& v) {
  return partitions_from(v.topic_partitions);
}

consumer_assignment from(protocol::consumer_group_current_member_assignment_value&& v) {
  consumer_assignment a{.epoch = v.member_epoch,
                        .previous_epoch = v.previous_member_epoch,
                        .state = member_state::stable,
                        .assigned = partitions_from(v.assigned_partitions),
                        .revoking = partitions_from(v.partitions_pending_revocation)};
  if (v.state == static_cast<int8_t>(member_state::unrevoked)) a.state = member_state::unrevoked;
  if (v.state == static_cast<int8_t>(member_state::unreleased)) a.state = member_state::unreleased;
  return a;
}

resolved_pattern from(protocol::consumer_group_regular_expression_value&& v) {
  return {.topics = sorted(std::move(v.topics)), .resolved_at_ms = v.timestamp};
}

template <class Key, class Value>
result<std::optional<consumer_change>> decode(consumer_change::about what, protocol::reader& in,
                                              std::optional<bytes_view> bytes) {
  auto key = Key::decode(in, key_version);
  if (!key) return std::unexpected(std::move(key.error()));
  consumer_change change{.what = what, .group = std::move(key->group_id)};
  if constexpr (requires { key->member_id; }) change.subject = std::move(key->member_id);
  if constexpr (requires { key->regular_expression; }) change.subject = std::move(key->regular_expression);
  if (bytes) {
    auto value = protocol::decode_versioned<Value>(slice::copy_of(*bytes));
    if (!value) return std::unexpected(std::move(value.error()));
    change.value = from(std::move(*value));
  }
  return change;
}

}  // namespace

record epoch_record(std::string_view group, const group_epoch& epoch) {
  protocol::consumer_group_metadata_value value;
  value.epoch = epoch.epoch;
  value.metadata_hash = static_cast<int64_t>(epoch.topics_hash);
  return {key_of<protocol::consumer_group_metadata_key>(group), value_bytes(value, value_version)};
}
record epoch_tombstone(std::string_view group) {
  return {key_of<protocol::consumer_group_metadata_key>(group), std::nullopt};
}

record target_epoch_record(std::string_view group, const target_epoch& epoch) {
  protocol::consumer_group_target_assignment_metadata_value value;
  value.assignment_epoch = epoch.epoch;
  value.assignment_timestamp = epoch.made_at_ms;
  return {key_of<protocol::consumer_group_target_assignment_metadata_key>(group),
          value_bytes(value, value_version)};
}
record target_epoch_tombstone(std::string_view group) {
  return {key_of<protocol::consumer_group_target_assignment_metadata_key>(group), std::nullopt};
}

record member_record(std::string_view group, std::string_view member, const consumer_subscription& m) {
  protocol::consumer_group_member_metadata_value value;
  value.instance_id = m.instance_id;
  value.rack_id = m.rack_id;
  value.client_id = m.client_id;
  value.client_host = m.client_host;
  value.subscribed_topic_names = m.topics;
  if (!m.pattern.empty()) value.subscribed_topic_regex = m.pattern;
  value.rebalance_timeout_ms = m.rebalance_timeout_ms;
  value.server_assignor = m.assignor;
  if (m.classic) {
    decltype(value.classic_member_metadata)::value_type classic;
    classic.session_timeout_ms = m.classic->session_timeout_ms;
    for (const member_protocol& p : m.classic->protocols) {
      auto& entry = classic.supported_protocols.emplace_back();
      entry.name = p.name;
      entry.metadata = p.metadata;
    }
    value.classic_member_metadata = std::move(classic);
  }
  return {key_of<protocol::consumer_group_member_metadata_key>(group, member),
          value_bytes(value, value_version)};
}
record member_tombstone(std::string_view group, std::string_view member) {
  return {key_of<protocol::consumer_group_member_metadata_key>(group, member), std::nullopt};
}

record target_record(std::string_view group, std::string_view member, const topic_partitions& target) {
  protocol::consumer_group_target_assignment_member_value value;
  put_partitions(target, value.topic_partitions);
  return {key_of<protocol::consumer_group_target_assignment_member_key>(group, member),
          value_bytes(value, value_version)};
}
record target_tombstone(std::string_view group, std::string_view member) {
  return {key_of<protocol::consumer_group_target_assignment_member_key>(group, member), std::nullopt};
}

record assignment_record(std::string_view group, std::string_view member, const consumer_assignment& a) {
  protocol::consumer_group_current_member_assignment_value value;
  value.member_epoch = a.epoch;
  value.previous_member_epoch = a.previous_epoch;
  value.state = static_cast<int8_t>(a.state);
  put_partitions(a.assigned, value.assigned_partitions);
  put_partitions(a.revoking, value.partitions_pending_revocation);
  return {key_of<protocol::consumer_group_current_member_assignment_key>(group, member),
          value_bytes(value, value_version)};
}
record assignment_tombstone(std::string_view group, std::string_view member) {
  return {key_of<protocol::consumer_group_current_member_assignment_key>(group, member), std::nullopt};
}

namespace {

std::vector<std::byte> pattern_key(std::string_view group, std::string_view text) {
  protocol::consumer_group_regular_expression_key key;
  key.group_id = group;
  key.regular_expression = text;
  return key_bytes(key);
}

}  // namespace

record pattern_record(std::string_view group, std::string_view text, const resolved_pattern& resolved) {
  protocol::consumer_group_regular_expression_value value;
  value.topics = resolved.topics;
  value.timestamp = resolved.resolved_at_ms;
  return {pattern_key(group, text), value_bytes(value, value_version)};
}
record pattern_tombstone(std::string_view group, std::string_view text) {
  return {pattern_key(group, text), std::nullopt};
}

result<std::optional<consumer_change>> decode_consumer_record(int16_t type, protocol::reader& key,
                                                              std::optional<bytes_view> value) {
  using enum consumer_change::about;
  using namespace protocol;
  switch (type) {
    case consumer_group_metadata_key::record_type:
      return decode<consumer_group_metadata_key, consumer_group_metadata_value>(epoch, key, value);
    case consumer_group_target_assignment_metadata_key::record_type:
      return decode<consumer_group_target_assignment_metadata_key,
                    consumer_group_target_assignment_metadata_value>(target_epoch, key, value);
    case consumer_group_member_metadata_key::record_type:
      return decode<consumer_group_member_metadata_key, consumer_group_member_metadata_value>(member, key,
                                                                                              value);
    case consumer_group_target_assignment_member_key::record_type:
      return decode<consumer_group_target_assignment_member_key,
                    consumer_group_target_assignment_member_value>(target, key, value);
    case consumer_group_current_member_assignment_key::record_type:
      return decode<consumer_group_current_member_assignment_key,
                    consumer_group_current_member_assignment_value>(assignment, key, value);
    case consumer_group_regular_expression_key::record_type:
      return decode<consumer_group_regular_expression_key, consumer_group_regular_expression_value>(
          pattern, key, value);
    default:
      return std::optional<consumer_change>();
  }
}

}  // namespace millrace::broker::coord
