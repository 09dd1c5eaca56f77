// record: one key and value of a coordinator's log.
//
// The key says what the value describes; a later record replaces an earlier one with the same key, and
// a record without a value (a tombstone) removes it. So the log may be compacted at any time, and the
// bytes are Kafka's own: its tools read our internal topics.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace millrace::broker::coord {

struct record {
  std::vector<std::byte> key;
  std::optional<std::vector<std::byte>> value;

  bool operator==(const record&) const = default;

  std::optional<bytes_view> value_view() const {
    if (!value) return std::nullopt;
    return bytes_view(*value);
  }
  // Bytes this record takes in a batch, at most.
  size_t bytes_max() const noexcept {
    return key.size() + (value ? value->size() : 0) + record_overhead_bytes;
  }

  // Length, attributes, deltas, key and value lengths, header count: varints all.
  static constexpr size_t record_overhead_bytes = 32;
};

}  // namespace millrace::broker::coord
