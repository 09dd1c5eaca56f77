#include "processors/host/entry_map.h"

#include <random>
#include <utility>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/checksum.h"

namespace millrace::processors {

namespace {

// Below that a tree is as quick.
constexpr size_t table_from = 32;
// From so many entries on a table of one part would take a millisecond and more to grow.
constexpr size_t parts_from = 32 * 1024;
constexpr int part_bits = 8;
constexpr size_t parts_max = size_t{1} << part_bits;
constexpr size_t slots_min = 64;

// Keys come from clients: nobody can know which of them collide.
uint64_t hash_of(std::string_view key) {
  static const uint64_t seed = uint64_t{std::random_device()()} << 32 | std::random_device()();
  const uint64_t hash = xxh3(as_bytes(key), seed);
  return hash != 0 ? hash : 1;
}

}  // namespace

entry_map::slot* entry_map::part::find(uint64_t hash, std::string_view key) {
  if (slots.empty()) return nullptr;
  const size_t mask = slots.size() - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    slot& s = slots[i];
    if (s.hash == 0) return nullptr;
    if (s.hash == hash && s.entry->first == key) return &s;
  }
}

void entry_map::part::add(uint64_t hash, tree::iterator entry) {
  if ((used + 1) * 4 > slots.size() * 3) grow();
  const size_t mask = slots.size() - 1;
  size_t i = hash & mask;
  while (slots[i].hash != 0) i = (i + 1) & mask;
  slots[i] = {hash, entry};
  ++used;
}

void entry_map::part::grow() {
  const std::vector<slot> before =
      std::exchange(slots, std::vector<slot>(slots.empty() ? slots_min : slots.size() * 2));
  used = 0;
  for (const slot& s : before)
    if (s.hash != 0) add(s.hash, s.entry);
}

// What had to go past the slot moves back, so that each search may end at a free one.
void entry_map::part::erase(slot& gone) {
  const size_t mask = slots.size() - 1;
  auto hole = static_cast<size_t>(&gone - slots.data());
  for (size_t i = (hole + 1) & mask; slots[i].hash != 0; i = (i + 1) & mask) {
    const size_t distance = (i - slots[i].hash) & mask;  // from where it belongs
    if (distance < ((i - hole) & mask)) continue;
    slots[hole] = slots[i];
    hole = i;
  }
  slots[hole] = {};
  --used;
}

entry_map::part& entry_map::part_of(uint64_t hash) {
  return parts_[parts_.size() == 1 ? 0 : hash >> (64 - part_bits)];
}

void entry_map::make_parts(size_t count) {
  parts_ = std::vector<part>(count);
  for (auto entry = tree_.begin(); entry != tree_.end(); ++entry) {
    const uint64_t hash = hash_of(entry->first);
    part_of(hash).add(hash, entry);
  }
}

entry_map::tree::iterator entry_map::locate(std::string_view key) {
  if (parts_.empty()) return tree_.find(key);
  const uint64_t hash = hash_of(key);
  const slot* found = part_of(hash).find(hash, key);
  return found ? found->entry : tree_.end();
}

std::string* entry_map::find(std::string_view key) {
  const auto found = locate(key);
  return found != tree_.end() ? &found->second : nullptr;
}

const std::string* entry_map::find(std::string_view key) const {
  return const_cast<entry_map*>(this)->find(key);
}

void entry_map::add(std::string_view key, std::string_view value) {
  const auto [entry, is_new] = tree_.emplace(key, value);
  MR_ASSERT(is_new);
  if (parts_.empty()) {
    if (tree_.size() > table_from) make_parts(1);
    return;
  }
  const uint64_t hash = hash_of(key);
  part_of(hash).add(hash, entry);
  if (parts_.size() == 1 && tree_.size() > parts_from) make_parts(parts_max);
}

void entry_map::erase(std::string_view key) {
  tree::iterator gone;
  if (parts_.empty()) {
    gone = tree_.find(key);
    MR_ASSERT(gone != tree_.end());
  } else {
    const uint64_t hash = hash_of(key);
    part& p = part_of(hash);
    slot* s = p.find(hash, key);
    MR_ASSERT(s != nullptr);
    gone = s->entry;
    p.erase(*s);
  }
  tree_.erase(gone);
  if (tree_.empty()) parts_ = {};
}

}  // namespace millrace::processors
