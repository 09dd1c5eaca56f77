// checksum: CRC-32C (Kafka's record batches) and XXH3 (our own formats).
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace millrace {

// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78, initial value and final xor all ones).
// `seed` is a previous call's result, to go on over the next piece.
uint32_t crc32c(bytes_view bytes, uint32_t seed = 0) noexcept;

// XXH3, 64 bits, with a seed that is mixed into every block.
uint64_t xxh3(bytes_view bytes, uint64_t seed = 0) noexcept;

// XXH3, 128 bits.
struct hash128 {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const hash128&) const = default;
};
hash128 xxh3_128(bytes_view bytes, uint64_t seed = 0) noexcept;

}  // namespace millrace
