// start_position: where in a partition to begin, as users write it.
//
//   beginning | end | stored     the oldest record, only new ones, the group's committed offset
//   1234                         that offset
//   -10                          the last ten
//   @1700000000000               the first record not older than that time (milliseconds)
//   @2026-01-31T12:00:00Z        likewise; a date alone, seconds with a fraction, and +01:00 work too
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tools/kafka/handle.h"

namespace millrace::tools {

class start_position {
 public:
  static result<start_position> parse(std::string_view text);

  bool is_stored() const noexcept { return kind_ == kind::stored; }
  // "earliest" or "latest": what a group without a committed offset does. Nothing for other positions.
  std::string_view as_reset_policy() const noexcept;

  // One offset for each partition, as rd_kafka_assign takes them. Asks the broker for a time only.
  result<std::vector<int64_t>> resolve(handle& client, const std::string& topic,
                                       const std::vector<int32_t>& partitions) const;

 private:
  enum class kind { beginning, end, stored, offset, tail, time };
  start_position(kind k, int64_t number) : kind_(k), number_(number) {}

  kind kind_;
  int64_t number_;  // offset, count from the end, or milliseconds
};

}  // namespace millrace::tools
