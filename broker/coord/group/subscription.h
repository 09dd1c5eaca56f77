// subscription: what classic consumers say of themselves and are told, inside the opaque bytes.
//
// The coordinator leaves members' metadata to their leader; only where the answer depends on topics
// (OffsetDelete, expiry) or a group has members of the consumer protocol as well does it look inside, and
// only for protocol type "consumer".
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/coord/group/classic_group.h"
#include "broker/coord/group/partitions.h"
#include "broker/coord/group/topics.h"

namespace millrace::broker::coord {

inline constexpr std::string_view consumer_protocol_type = "consumer";

// Nothing if the group is not of consumers, not in a generation, or a member's metadata cannot be read.
std::optional<std::set<std::string, std::less<>>> subscribed_topics(const classic_group& g);

struct classic_subscription {
  int16_t version = 0;
  std::vector<std::string> topics;  // sorted, without repetition
  topic_partitions owned;           // of topics that exist
  std::optional<std::string> rack_id;
};

// Nothing if it cannot be read.
std::optional<classic_subscription> parse_subscription(bytes_view bytes, const topic_source& topics);
// Nothing if it cannot be read; no bytes at all are no partitions.
std::optional<topic_partitions> parse_assignment(bytes_view bytes, const topic_source& topics);
// What a classic consumer whose subscription was of `version` can read.
std::vector<std::byte> make_assignment(const topic_partitions& assigned, int16_t version,
                                       const topic_source& topics);

}  // namespace millrace::broker::coord
