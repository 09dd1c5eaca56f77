#include "storage/log/key_map.h"

#include <algorithm>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/checksum.h"

namespace millrace::storage {

void key_map::unmapped::operator()(entry* entries) const noexcept {
  ::munmap(entries, bytes);
}

key_map::key_map(uint64_t keys_max, uint64_t bytes_max, double load_factor, uint64_t seed) : seed_(seed) {
  load_factor = std::clamp(load_factor, 0.1, 0.95);
  const uint64_t slots_max = std::max<uint64_t>(bytes_max / key_map_entry_bytes, 2);
  const double wanted = static_cast<double>(keys_max) / load_factor + 2;
  slots_ = wanted < static_cast<double>(slots_max) ? static_cast<uint64_t>(wanted) : slots_max;
  // One place stays free, so that each search ends.
  keys_max_ = std::min(slots_ - 1, static_cast<uint64_t>(static_cast<double>(slots_) * load_factor));
  keys_max_ = std::max<uint64_t>(keys_max_, 1);
  // Zeroed by the kernel, page by page, when a page is first touched; what calloc() takes from its heap it
  // would zero here and now.
  const size_t bytes = slots_ * sizeof(entry);
  void* mapped =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  MR_ASSERT(mapped != MAP_FAILED);
  entries_ = std::unique_ptr<entry[], unmapped>(static_cast<entry*>(mapped), unmapped{bytes});
}

key_map::entry& key_map::place_of(bytes_view key, uint64_t& high, uint64_t& low) const noexcept {
  const hash128 hash = xxh3_128(key, seed_);
  high = hash.high;
  low = hash.low;
  auto at = static_cast<uint64_t>((static_cast<unsigned __int128>(hash.high) * slots_) >> 64);
  for (;;) {
    entry& e = entries_[at];
    if (e.next == 0 || (e.high == high && e.low == low)) return e;
    if (++at == slots_) at = 0;
  }
}

bool key_map::put(bytes_view key, offset at) {
  uint64_t high = 0, low = 0;
  entry& e = place_of(key, high, low);
  if (e.next == 0) {
    if (size_ == keys_max_) return false;
    ++size_;
    e.high = high;
    e.low = low;
  }
  e.next = at.value() + 1;
  return true;
}

offset key_map::newest(bytes_view key) const noexcept {
  uint64_t high = 0, low = 0;
  const entry& e = place_of(key, high, low);
  return e.next == 0 ? no_offset : offset(e.next - 1);
}

}  // namespace millrace::storage
