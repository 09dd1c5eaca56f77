#include "broker/coord/group/records.h"

#include "base/buffer.h"
#include "broker/coord/group/record_bytes.h"
#include "protocol/generated/group_metadata_key.h"
#include "protocol/generated/group_metadata_value.h"
#include "protocol/generated/offset_commit_key.h"
#include "protocol/generated/offset_commit_value.h"
#include "protocol/message.h"

namespace millrace::broker::coord {
namespace {

// The versions of Kafka 4, which its tools back to 2.3 can read.
constexpr int16_t group_value_version = 3;
constexpr int16_t offset_value_version = 3;
constexpr int16_t offset_value_version_with_expiry = 1;
constexpr int16_t offset_value_version_with_topic_id = 4;

std::vector<std::byte> offset_key_bytes(std::string_view group, std::string_view topic, int32_t partition) {
  protocol::offset_commit_key key;
  key.group = group;
  key.topic = topic;
  key.partition = partition;
  return key_bytes(key);
}

std::vector<std::byte> group_key_bytes(std::string_view group) {
  protocol::group_metadata_key key;
  key.group = group;
  return key_bytes(key);
}

result<committed_generation> read_generation(bytes_view bytes) {
  auto value = protocol::decode_versioned<protocol::group_metadata_value>(slice::copy_of(bytes));
  if (!value) return std::unexpected(std::move(value.error()));
  committed_generation generation{.protocol_type = std::move(value->protocol_type),
                                  .generation = value->generation,
                                  .protocol = std::move(value->protocol),
                                  .leader = std::move(value->leader),
                                  .state_since_ms = value->current_state_timestamp};
  for (auto& m : value->members) {
    if (m.member_id.empty()) return fail(errc::corruption, "a group record has a member without an id");
    committed_member member{.instance_id = std::move(m.group_instance_id),
                            .client_id = std::move(m.client_id),
                            .client_host = std::move(m.client_host),
                            .rebalance_timeout_ms = m.rebalance_timeout,
                            .session_timeout_ms = m.session_timeout,
                            .subscription = std::move(m.subscription),
                            .assignment = std::move(m.assignment)};
    if (!generation.members.emplace(std::move(m.member_id), std::move(member)).second) {
      return fail(errc::corruption, "a group record names a member twice");
    }
  }
  return generation;
}

result<committed_offset> read_offset(bytes_view bytes) {
  auto value = protocol::decode_versioned<protocol::offset_commit_value>(slice::copy_of(bytes));
  if (!value) return std::unexpected(std::move(value.error()));
  committed_offset o{.offset = value->offset,
                     .leader_epoch = value->leader_epoch,
                     .metadata = std::move(value->metadata),
                     .committed_at_ms = value->commit_timestamp,
                     .topic_id = value->topic_id};
  if (value->expire_timestamp >= 0) o.expires_at_ms = value->expire_timestamp;
  return o;
}

}  // namespace

record group_record(std::string_view group, const committed_generation& generation) {
  protocol::group_metadata_value value;
  value.protocol_type = generation.protocol_type;
  value.generation = generation.generation;
  value.protocol = generation.protocol;
  value.leader = generation.leader;
  value.current_state_timestamp = generation.state_since_ms;
  for (const auto& [member_id, m] : generation.members) {
    auto& entry = value.members.emplace_back();
    entry.member_id = member_id;
    entry.group_instance_id = m.instance_id;
    entry.client_id = m.client_id;
    entry.client_host = m.client_host;
    entry.rebalance_timeout = m.rebalance_timeout_ms;
    entry.session_timeout = m.session_timeout_ms;
    entry.subscription = m.subscription;
    entry.assignment = m.assignment;
  }
  return {group_key_bytes(group), value_bytes(value, group_value_version)};
}

record group_tombstone(std::string_view group) {
  return {group_key_bytes(group), std::nullopt};
}

record offset_record(std::string_view group, std::string_view topic, int32_t partition,
                     const committed_offset& offset) {
  protocol::offset_commit_value value;
  value.offset = offset.offset;
  value.leader_epoch = offset.leader_epoch;
  value.metadata = offset.metadata;
  value.commit_timestamp = offset.committed_at_ms;
  value.expire_timestamp = offset.expires_at_ms.value_or(-1);
  value.topic_id = offset.topic_id;
  const int16_t version = offset.expires_at_ms        ? offset_value_version_with_expiry
                          : offset.topic_id.is_zero() ? offset_value_version
                                                      : offset_value_version_with_topic_id;
  return {offset_key_bytes(group, topic, partition), value_bytes(value, version)};
}

record offset_tombstone(std::string_view group, std::string_view topic, int32_t partition) {
  return {offset_key_bytes(group, topic, partition), std::nullopt};
}

result<group_change> decode_group_record(protocol::reader& in, std::optional<bytes_view> value) {
  auto key = protocol::group_metadata_key::decode(in, key_version);
  if (!key) return std::unexpected(std::move(key.error()));
  group_change change{.group = std::move(key->group)};
  if (!value) return change;
  auto generation = read_generation(*value);
  if (!generation) return std::unexpected(std::move(generation.error()));
  change.generation = std::move(*generation);
  return change;
}

result<offset_change> decode_offset_record(protocol::reader& in, std::optional<bytes_view> value) {
  auto key = protocol::offset_commit_key::decode(in, key_version);
  if (!key) return std::unexpected(std::move(key.error()));
  offset_change change{
      .group = std::move(key->group), .topic = std::move(key->topic), .partition = key->partition};
  if (!value) return change;
  auto offset = read_offset(*value);
  if (!offset) return std::unexpected(std::move(offset.error()));
  change.offset = std::move(*offset);
  return change;
}

}  // namespace millrace::broker::coord
