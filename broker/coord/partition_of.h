// partition_of: which partition of an internal topic coordinates an id.
//
// Kafka's choice, so that a directory may move between the two: the hash of a Java string, made
// non-negative, modulo the number of partitions.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace::broker::coord {

// Java's String.hashCode of `utf8`. Bytes that are not UTF-8 count as U+FFFD each.
int32_t java_string_hash(std::string_view utf8) noexcept;

// Requires: partitions > 0.
int32_t partition_of(std::string_view id, int32_t partitions) noexcept;

}  // namespace millrace::broker::coord
