#include "base/checksum.h"

#define XXH_INLINE_ALL
#include <isa-l/crc.h>
#include <xxhash.h>

namespace millrace {

uint32_t crc32c(bytes_view bytes, uint32_t seed) noexcept {
  // ISA-L works on the register itself and takes a non-const pointer and an int length.
  uint32_t crc = ~seed;
  auto* at = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
  size_t left = bytes.size();
  constexpr size_t step_max = size_t{1} << 30;
  while (left > 0) {
    const size_t step = left < step_max ? left : step_max;
    crc = crc32_iscsi(at, static_cast<int>(step), crc);
    at += step;
    left -= step;
  }
  return ~crc;
}

uint64_t xxh3(bytes_view bytes, uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

hash128 xxh3_128(bytes_view bytes, uint64_t seed) noexcept {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(bytes.data(), bytes.size(), seed);
  return {hash.high64, hash.low64};
}

}  // namespace millrace
