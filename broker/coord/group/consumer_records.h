// consumer_records: what groups of the consumer protocol leave in __consumer_offsets, in Kafka's formats.
//
//     type 3   the group's epoch                            key {group}
//     type 4   its topics, as Kafka kept them before 4.1    read over; since then a hash in type 3 does
//     type 5   a member: client, subscription, protocols    key {group, member}
//     type 6   the epoch the target was made for            key {group}
//     type 7   a member's target                            key {group, member}
//     type 8   a member's epoch and partitions              key {group, member}
//     type 16  the topics that a pattern stands for         key {group, pattern}
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "broker/coord/group/partitions.h"
#include "broker/coord/group/records.h"
#include "broker/coord/record.h"
#include "protocol/reader.h"

namespace millrace::broker::coord {

struct group_epoch {
  int32_t epoch = 0;
  uint64_t topics_hash = 0;
};

struct target_epoch {
  int32_t epoch = 0;
  int64_t made_at_ms = 0;  // wall clock
};

// What only a member of the classic protocol has.
struct classic_side {
  int32_t session_timeout_ms = 0;
  std::vector<member_protocol> protocols;

  bool operator==(const classic_side&) const = default;
};

struct consumer_subscription {
  std::optional<std::string> instance_id;
  std::optional<std::string> rack_id;
  std::string client_id;
  std::string client_host;
  std::vector<std::string> topics;  // sorted, without repetition
  std::string pattern;              // empty: none
  int32_t rebalance_timeout_ms = -1;
  std::optional<std::string> assignor;
  std::optional<classic_side> classic;

  bool operator==(const consumer_subscription&) const = default;
};

// The numbers are Kafka's.
enum class member_state : int8_t {
  stable = 1,      // has reached the target of its epoch
  unrevoked = 2,   // was told to give partitions up, and has not said that it did
  unreleased = 3,  // waits for partitions that others have
};

struct consumer_assignment {
  int32_t epoch = 0;
  int32_t previous_epoch = 0;
  member_state state = member_state::stable;
  topic_partitions assigned;
  topic_partitions revoking;

  bool operator==(const consumer_assignment&) const = default;
};

struct resolved_pattern {
  std::vector<std::string> topics;  // sorted
  int64_t resolved_at_ms = 0;       // wall clock

  bool operator==(const resolved_pattern&) const = default;
};

record epoch_record(std::string_view group, const group_epoch& epoch);
record epoch_tombstone(std::string_view group);
record target_epoch_record(std::string_view group, const target_epoch& epoch);
record target_epoch_tombstone(std::string_view group);
record member_record(std::string_view group, std::string_view member, const consumer_subscription& m);
record member_tombstone(std::string_view group, std::string_view member);
record target_record(std::string_view group, std::string_view member, const topic_partitions& target);
record target_tombstone(std::string_view group, std::string_view member);
record assignment_record(std::string_view group, std::string_view member, const consumer_assignment& a);
record assignment_tombstone(std::string_view group, std::string_view member);
record pattern_record(std::string_view group, std::string_view text, const resolved_pattern& resolved);
record pattern_tombstone(std::string_view group, std::string_view text);

// One record, decoded; a change without a value takes away.
struct consumer_change {
  using value_type = std::variant<group_epoch, target_epoch, consumer_subscription, topic_partitions,
                                  consumer_assignment, resolved_pattern>;
  enum class about : uint8_t { epoch, target_epoch, member, target, assignment, pattern };

  about what = about::epoch;
  std::string group;
  std::string subject;  // the member or the pattern; empty for epochs
  std::optional<value_type> value;
};

// `key` stands behind the type. Nothing: a type that is none of these, or without meaning today.
result<std::optional<consumer_change>> decode_consumer_record(int16_t type, protocol::reader& key,
                                                              std::optional<bytes_view> value);

}  // namespace millrace::broker::coord
