// assignment: replicas of a partition as a client wishes them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <ranges>

#include "base/result.h"

namespace millrace::broker {

// INVALID_REPLICA_ASSIGNMENT, in Kafka's words, unless it is this broker alone.
template <std::ranges::sized_range Ids>
result<void> check_assignment(const Ids& broker_ids, int32_t node_id) {
  if (std::ranges::empty(broker_ids))
    return fail(errc::invalid_replica_assignment,
                "The manual partition assignment includes an empty replica list.");
  const auto other = std::ranges::find_if(broker_ids, [node_id](int32_t id) { return id != node_id; });
  if (other != std::ranges::end(broker_ids)) {
    return fail(errc::invalid_replica_assignment,
                "The manual partition assignment includes broker {}, but no such broker is registered.",
                *other);
  }
  if (std::ranges::size(broker_ids) > 1) {
    return fail(errc::invalid_replica_assignment,
                "The manual partition assignment includes the broker {} more than once.", node_id);
  }
  return {};
}

}  // namespace millrace::broker
