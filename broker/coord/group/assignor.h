// assignor: divides the partitions of topics among the members that subscribe to them. Pure functions.
//
//   uniform   as even as subscriptions allow, and everybody keeps as much as evenness allows
//   range     of each topic, neighbouring partitions; the members in the order of their instance ids or ids,
//             so that topics with equally many partitions are divided alike
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/coord/group/partitions.h"

namespace millrace::broker::coord {

struct assignor_topic {
  uuid id;
  int32_t partitions = 0;
};

struct assignor_member {
  std::string_view id;
  std::optional<std::string_view> instance_id;
  std::vector<size_t> topics;                 // indices into the topics, ascending
  const topic_partitions* current = nullptr;  // the target so far
};

struct assignor_input {
  std::vector<assignor_topic> topics;
  std::vector<assignor_member> members;  // in the order of their ids
};

// What each member is to have, in the order of the members.
using assignor_output = std::vector<topic_partitions>;

assignor_output assign_uniform(const assignor_input& in);
assignor_output assign_range(const assignor_input& in);

using assignor_function = assignor_output (*)(const assignor_input& in);
// Null if there is none of this name.
assignor_function find_assignor(std::string_view name) noexcept;

}  // namespace millrace::broker::coord
