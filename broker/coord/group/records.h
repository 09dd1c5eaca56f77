// records: what groups leave in __consumer_offsets, in Kafka's formats.
//
//     type 1  offset commit    key {group, topic, partition}   value {offset, leader epoch, metadata, times,
//     topic id} type 2  group metadata   key {group}                     value {protocol, generation, leader,
//     members}
//
// Key bytes begin with the type, value bytes with a version. All versions are read; written are 3 (4 for
// an offset whose topic id is known, 1 for one with an expiry of its own).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/uuid.h"
#include "broker/coord/record.h"
#include "protocol/reader.h"

namespace millrace::broker::coord {

// One of the protocols that a classic member offers, with what it says in it.
struct member_protocol {
  std::string name;
  std::vector<std::byte> metadata;

  bool operator==(const member_protocol&) const = default;
};

// A member as the last finished rebalance left it.
struct committed_member {
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  int32_t rebalance_timeout_ms = -1;
  int32_t session_timeout_ms = 0;
  std::vector<std::byte> subscription;  // its metadata for the chosen protocol
  std::vector<std::byte> assignment;

  bool operator==(const committed_member&) const = default;
};

// A generation of a group: what survives a restart of the coordinator.
struct committed_generation {
  std::string protocol_type;  // empty: a group that only ever committed offsets
  int32_t generation = 0;
  std::optional<std::string> protocol;
  std::optional<std::string> leader;
  int64_t state_since_ms = -1;  // wall clock
  std::map<std::string, committed_member, std::less<>> members;

  bool operator==(const committed_generation&) const = default;
};

struct committed_offset {
  int64_t offset = -1;
  int32_t leader_epoch = -1;
  std::string metadata;
  int64_t committed_at_ms = -1;          // wall clock
  std::optional<int64_t> expires_at_ms;  // asked for by the commit itself (OffsetCommit 2-4)
  uuid topic_id;                         // zero if not known

  bool operator==(const committed_offset&) const = default;
};

record group_record(std::string_view group, const committed_generation& generation);
record group_tombstone(std::string_view group);
record offset_record(std::string_view group, std::string_view topic, int32_t partition,
                     const committed_offset& offset);
record offset_tombstone(std::string_view group, std::string_view topic, int32_t partition);

struct group_change {
  std::string group;
  std::optional<committed_generation> generation;  // none: deleted
};
struct offset_change {
  std::string group;
  std::string topic;
  int32_t partition = 0;
  std::optional<committed_offset> offset;  // none: deleted
};

// `key` stands behind the type. Fail on bytes that do not decode or a version newer than we know.
result<group_change> decode_group_record(protocol::reader& key, std::optional<bytes_view> value);
result<offset_change> decode_offset_record(protocol::reader& key, std::optional<bytes_view> value);

}  // namespace millrace::broker::coord
