// millrace/partition.h: which partition a key belongs to, in the eyes of every Kafka client.
//
//     context.emit_to(out, millrace::partition_for_key(user, context.partition_count(out)), emission);
//
// Java's default partitioner, and with the right setting those of the other clients: murmur2 of the key's
// bytes, its sign bit cleared, modulo the number of partitions. So a topic that a processor re-keys and one
// that a producer writes by the same key meet partition by partition. The broker itself does this for outputs
// with partition_by = "key".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace millrace {
inline namespace sdk_v1 {

// As Kafka computes it.
inline std::uint32_t murmur2(std::string_view bytes) noexcept {
  constexpr std::uint32_t seed = 0x9747b28c;
  constexpr std::uint32_t m = 0x5bd1e995;
  constexpr int r = 24;
  const auto byte = [&](std::size_t at) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at]));
  };

  std::uint32_t h = seed ^ static_cast<std::uint32_t>(bytes.size());
  std::size_t at = 0;
  for (; at + 4 <= bytes.size(); at += 4) {
    std::uint32_t k = byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16 | byte(at + 3) << 24;
    k *= m;
    k ^= k >> r;
    k *= m;
    h *= m;
    h ^= k;
  }
  const std::size_t left = bytes.size() - at;
  if (left == 3) h ^= byte(at + 2) << 16;
  if (left >= 2) h ^= byte(at + 1) << 8;
  if (left >= 1) {
    h ^= byte(at);
    h *= m;
  }
  h ^= h >> 13;
  h *= m;
  h ^= h >> 15;
  return h;
}

// Requires: partitions > 0.
inline std::int32_t partition_for_key(std::string_view key, std::int32_t partitions) noexcept {
  return static_cast<std::int32_t>((murmur2(key) & 0x7fffffff) % static_cast<std::uint32_t>(partitions));
}

}  // namespace sdk_v1
}  // namespace millrace
