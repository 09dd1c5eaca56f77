// prng: xoshiro256** seeded by splitmix64; the same seed gives the same sequence on every platform.
#pragma once

#include <cstdint>

namespace millrace {

class prng {
 public:
  explicit prng(uint64_t seed) noexcept {
    for (uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15ULL;
      uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
      word = z ^ (z >> 31);
    }
  }

  uint64_t next() noexcept {
    const uint64_t out = rotate(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate(state_[3], 45);
    return out;
  }

  // Uniform in [0, bound). Requires: bound > 0. The bias of at most bound/2^64 does not matter here.
  uint64_t below(uint64_t bound) noexcept {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }
  // Uniform in [low, high].
  int64_t between(int64_t low, int64_t high) noexcept {
    return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low) + 1));
  }
  // True once in `n` on average.
  bool one_in(uint64_t n) noexcept { return below(n) == 0; }

 private:
  static uint64_t rotate(uint64_t v, int bits) noexcept { return (v << bits) | (v >> (64 - bits)); }
  uint64_t state_[4];
};

}  // namespace millrace
