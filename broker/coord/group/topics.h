// topics: what the coordinator has to know of topics to divide their partitions (KIP-848).
//
// A port: the broker puts its image of the topics behind it, tests a map. Handlers look at it and write what
// they conclude into records, so a replay never asks.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/uuid.h"

namespace millrace::broker::coord {

struct topic_info {
  uuid id;
  std::string name;
  int32_t partitions = 0;
};

class topic_source {
 public:
  virtual ~topic_source() = default;
  virtual std::optional<topic_info> find(std::string_view name) const = 0;
  virtual std::optional<topic_info> find(const uuid& id) const = 0;
  // In the order of their names.
  virtual void for_each_name(const std::function<void(std::string_view name)>& visit) const = 0;
};

}  // namespace millrace::broker::coord
