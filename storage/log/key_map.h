// key_map: the newest offset of each key of a stretch of log, in a bounded piece of memory.
//
// A key is known by its 128-bit XXH3 under a seed of the map's own, 24 bytes an entry with the offset, in a
// table with open addressing. Two keys are taken for one only if all 128 bits agree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/types.h"

namespace millrace::storage {

inline constexpr size_t key_map_entry_bytes = 24;

class key_map {
 public:
  // Room for `keys_max` keys, or for as many as fit `bytes_max` of memory, but for at least one. The memory
  // is touched only as it is used; giving it back takes milliseconds if it is large.
  key_map(uint64_t keys_max, uint64_t bytes_max, double load_factor, uint64_t seed);

  // Notes that `key` is at `at`, later than all that was noted of it before. False, and nothing noted, if it
  // is a new key and there is no room.
  bool put(bytes_view key, offset at);
  // no_offset if the key was never noted.
  offset newest(bytes_view key) const noexcept;

  uint64_t size() const noexcept { return size_; }
  uint64_t keys_max() const noexcept { return keys_max_; }

 private:
  struct entry {
    uint64_t high = 0;
    uint64_t low = 0;
    int64_t next = 0;  // offset + 1; 0: free
  };
  static_assert(sizeof(entry) == key_map_entry_bytes);
  struct unmapped {
    size_t bytes;
    void operator()(entry* entries) const noexcept;
  };

  // Where the key is, or the free place where it would be.
  entry& place_of(bytes_view key, uint64_t& high, uint64_t& low) const noexcept;

  uint64_t seed_;
  uint64_t slots_;
  uint64_t keys_max_;
  uint64_t size_ = 0;
  std::unique_ptr<entry[], unmapped> entries_;
};

}  // namespace millrace::storage
