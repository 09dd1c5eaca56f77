// groups: consumer groups of both protocols, their members and their committed offsets.
//
// Each call is one or a few requests and blocks until they are answered or the handle's timeout is over.
// librdkafka 2.0 knows classic groups only; types, and the members of consumer-protocol groups, are asked for
// directly (see wire).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "tools/kafka/handle.h"

namespace millrace::tools {

struct group_listing {
  std::string id;
  std::string type;           // "classic", "consumer", …; empty: the broker or the connection cannot tell
  std::string state;          // "Stable", "Empty", …
  std::string protocol_type;  // "consumer", "connect", …; empty: only commits offsets
};
// Every group of every broker, by id.
result<std::vector<group_listing>> list_groups(handle& client);

struct topic_partition {
  std::string topic;
  int32_t partition = 0;
  friend auto operator<=>(const topic_partition&, const topic_partition&) = default;
};

struct group_member {
  std::string id;
  std::string client_id;
  std::string host;
  std::optional<std::string> instance_id;
  std::optional<int32_t> epoch;  // of the consumer protocol
  std::vector<topic_partition> assigned;
};

struct group_description {
  std::string id;
  std::string type;
  std::string state;
  std::string assignor;
  int32_t coordinator = -1;
  std::string coordinator_address;
  std::vector<group_member> members;
  // Members exist but cannot be shown: the consumer protocol over TLS or SASL.
  bool hides_members = false;
};
// group_id_not_found (with the nearest name there is) if it does not exist.
result<group_description> describe_group(handle& client, const std::string& id);

struct committed_offset {
  topic_partition where;
  int64_t offset = -1;
  std::string metadata;
};
// What the group has committed, by topic and partition. Nothing for a group that does not exist.
result<std::vector<committed_offset>> committed_offsets(handle& client, const std::string& group);

// One result for each, in order.
result<std::vector<result<void>>> alter_offsets(handle& client, const std::string& group,
                                                const std::vector<committed_offset>& to);
result<std::vector<result<void>>> delete_offsets(handle& client, const std::string& group,
                                                 const std::vector<topic_partition>& where);
result<std::vector<result<void>>> delete_groups(handle& client, const std::vector<std::string>& ids);

}  // namespace millrace::tools
