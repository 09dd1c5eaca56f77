#include "storage/log/block_sums.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/checksum.h"

namespace millrace::storage {

namespace {

constexpr char magic[7] = {'M', 'R', 'S', 'U', 'M', 'S', 0};
constexpr size_t version_at = sizeof(magic);
constexpr size_t base_at = 8;
constexpr size_t mark_bytes = 8;
constexpr size_t marks_head_bytes = 16;
constexpr size_t bytes_without_crc = 16;

uint32_t check_of(const std::byte* entry, offset base, uint64_t n) {
  return static_cast<uint32_t>(xxh3(bytes_view(entry, 12), static_cast<uint64_t>(base.value()) + n));
}

}  // namespace

uint32_t check_of_batch(const std::byte* header, offset base, uint32_t position) {
  return static_cast<uint32_t>(
      xxh3(bytes_view(header, bytes_without_crc), static_cast<uint64_t>(base.value()) + position));
}

std::vector<std::byte> encode_batch_marks(offset base, const std::vector<batch_mark>& marks) {
  std::vector<std::byte> out(marks_head_bytes + marks.size() * mark_bytes);
  std::byte* to = out.data() + marks_head_bytes;
  for (const batch_mark& m : marks) {
    store_le<uint32_t>(to, m.position);
    store_le<uint32_t>(to + 4, m.check);
    to += mark_bytes;
  }
  store_le<uint64_t>(out.data(), marks.size());
  store_le<uint64_t>(out.data() + 8,
                     xxh3(bytes_view(out).subspan(marks_head_bytes), static_cast<uint64_t>(base.value())));
  return out;
}

std::optional<std::vector<batch_mark>> decode_batch_marks(bytes_view file, offset base,
                                                          uint64_t segment_bytes) {
  int version = 0;
  if (!is_sums_header(file, base, &version) || version != sums_version_with_marks) return std::nullopt;
  const uint64_t blocks = (segment_bytes + sum_block_bytes - 1) / sum_block_bytes;
  const uint64_t at = sums_header_bytes + blocks * sums_entry_bytes;
  if (file.size() < at + marks_head_bytes) return std::nullopt;
  const bytes_view items = file.subspan(at + marks_head_bytes);
  if (load_le<uint64_t>(file.data() + at) != items.size() / mark_bytes || items.size() % mark_bytes != 0 ||
      load_le<uint64_t>(file.data() + at + 8) != xxh3(items, static_cast<uint64_t>(base.value())))
    return std::nullopt;
  std::vector<batch_mark> marks(items.size() / mark_bytes);
  const std::byte* from = items.data();
  for (batch_mark& m : marks) {
    m = {load_le<uint32_t>(from), load_le<uint32_t>(from + 4)};
    from += mark_bytes;
  }
  return marks;
}

std::vector<std::byte> encode_sums_header(offset base, int version) {
  std::vector<std::byte> out(sums_header_bytes);
  std::memcpy(out.data(), magic, sizeof(magic));
  out[version_at] = static_cast<std::byte>(version);
  store_le<int64_t>(out.data() + base_at, base.value());
  return out;
}

bool is_sums_header(bytes_view file, offset base, int* version) {
  if (version) *version = 0;
  if (file.size() < sums_header_bytes || std::memcmp(file.data(), magic, sizeof(magic)) != 0) return false;
  const int is = static_cast<int>(file[version_at]);
  if (version) *version = is;
  return is >= sums_version && is <= sums_version_with_marks &&
         load_le<int64_t>(file.data() + base_at) == base.value();
}

void encode_sums_entry(std::byte* to, offset base, uint64_t n, const sums_entry& entry) {
  store_le<uint64_t>(to, entry.sum);
  store_le<uint32_t>(to + 8, entry.length);
  store_le<uint32_t>(to + 12, check_of(to, base, n));
}

std::optional<sums_entry> decode_sums_entry(const std::byte* from, offset base, uint64_t n) {
  if (load_le<uint32_t>(from + 12) != check_of(from, base, n)) return std::nullopt;
  const sums_entry entry{load_le<uint64_t>(from), load_le<uint32_t>(from + 8)};
  if (entry.length == 0 || entry.length > sum_block_bytes) return std::nullopt;
  return entry;
}

void block_sums::push(uint64_t sum, uint64_t length) {
  // A block that was damaged before it was complete must not become a good one by being summed as it is.
  entries_.push_back({is_spoilt_ ? ~sum : sum, static_cast<uint32_t>(length)});
  states_.push_back(block_state::unread);
  is_spoilt_ = false;
}

void block_sums::add(bytes_view bytes) {
  MR_ASSERT(is_building_);
  while (!bytes.empty()) {
    const uint64_t step = std::min<uint64_t>(bytes.size(), sum_block_bytes - rest_bytes_);
    rest_.add(bytes.first(step));
    rest_bytes_ += step;
    bytes = bytes.subspan(step);
    if (rest_bytes_ == sum_block_bytes) finish();
  }
}

void block_sums::finish() {
  if (rest_bytes_ == 0) return;
  push(rest_.digest(), rest_bytes_);
  rest_.reset();
  rest_bytes_ = 0;
}

void block_sums::begin_building(bytes_view rest, bool is_intact) {
  MR_ASSERT(rest.size() < sum_block_bytes);
  rest_.reset();
  rest_.add(rest);
  rest_bytes_ = rest.size();
  is_spoilt_ = !is_intact;
  is_building_ = true;
  rest_end = 0;
}

uint64_t block_sums::rest_sum() const {
  // What was damaged may be in the tail, all of it, so that the file has nothing to compare.
  if (rest_bytes_ == 0) return is_spoilt_ ? 1 : 0;
  return is_spoilt_ ? ~rest_.digest() : rest_.digest();
}

uint64_t block_sums::summed() const noexcept {
  return entries_.empty() ? 0 : (entries_.size() - 1) * sum_block_bytes + entries_.back().length;
}

std::vector<std::byte> block_sums::encode(size_t from) const {
  std::vector<std::byte> out((entries_.size() - from) * sums_entry_bytes);
  for (size_t n = from; n < entries_.size(); ++n)
    encode_sums_entry(out.data() + (n - from) * sums_entry_bytes, base_, n, entries_[n]);
  return out;
}

std::vector<size_t> block_sums::load(bytes_view file, uint64_t summed) {
  const size_t count = (summed + sum_block_bytes - 1) / sum_block_bytes;
  entries_.assign(count, {});
  states_.assign(count, block_state::unknown);
  is_loaded = true;
  saved = count;
  std::vector<size_t> damaged;
  const bool is_one = is_sums_header(file, base_);
  for (size_t n = 0; n < count; ++n) {
    const uint64_t length = std::min(sum_block_bytes, summed - n * sum_block_bytes);
    const size_t at = sums_header_bytes + n * sums_entry_bytes;
    std::optional<sums_entry> found;
    if (is_one && at + sums_entry_bytes <= file.size()) found = decode_sums_entry(file.data() + at, base_, n);
    if (found && found->length == length) {
      entries_[n] = *found;
      states_[n] = block_state::unread;
    } else {
      entries_[n].length = static_cast<uint32_t>(length);
      damaged.push_back(n);
    }
  }
  return damaged;
}

bool block_sums::compare(size_t n, bytes_view block) {
  MR_ASSERT(n < entries_.size() && block.size() == entries_[n].length);
  if (states_[n] != block_state::unread) return false;
  states_[n] = xxh3(block) == entries_[n].sum ? block_state::intact : block_state::damaged;
  return states_[n] == block_state::damaged;
}

}  // namespace millrace::storage
