#include "storage/log/segment_index.h"

#include <algorithm>

namespace millrace::storage {

void segment_index::note_batch(offset last_offset, int64_t max_timestamp_ms, uint32_t position,
                               uint32_t bytes, uint32_t interval_bytes) {
  if (max_timestamp_ms > max_timestamp_ms_) {
    max_timestamp_ms_ = max_timestamp_ms;
    max_timestamp_offset_ = last_offset;
  }
  if (bytes_since_entry_ > interval_bytes) {
    offsets_.push_back({static_cast<uint32_t>(last_offset.minus(base_)), position});
    finish();
    bytes_since_entry_ = 0;
  }
  bytes_since_entry_ += bytes;
}

void segment_index::finish() {
  if (max_timestamp_offset_ == no_offset) return;
  if (!times_.empty() && times_.back().timestamp_ms >= max_timestamp_ms_) return;
  times_.push_back({max_timestamp_ms_, static_cast<uint32_t>(max_timestamp_offset_.minus(base_))});
}

void segment_index::restore_progress(uint64_t bytes_since_entry, int64_t max_timestamp_ms,
                                     offset max_timestamp_offset) {
  bytes_since_entry_ = bytes_since_entry;
  max_timestamp_ms_ = max_timestamp_ms;
  max_timestamp_offset_ = max_timestamp_offset;
}

uint32_t segment_index::position_before(offset target) const noexcept {
  const int64_t relative = target.minus(base_);
  auto after =
      std::upper_bound(offsets_.begin(), offsets_.end(), relative,
                       [](int64_t r, const offset_index_entry& e) { return r < int64_t{e.relative_offset}; });
  return after == offsets_.begin() ? 0 : std::prev(after)->position;
}

std::optional<offset> segment_index::last_offset_at(uint32_t position) const noexcept {
  const auto found = std::lower_bound(offsets_.begin(), offsets_.end(), position,
                                      [](const offset_index_entry& e, uint32_t p) { return e.position < p; });
  if (found == offsets_.end() || found->position != position) return std::nullopt;
  return base_.plus(found->relative_offset);
}

offset segment_index::offset_before_time(int64_t timestamp_ms) const noexcept {
  auto reached = std::lower_bound(times_.begin(), times_.end(), timestamp_ms,
                                  [](const time_index_entry& e, int64_t t) { return e.timestamp_ms < t; });
  if (reached == times_.begin()) return base_.plus(-1);
  return base_.plus(std::prev(reached)->relative_offset);
}

std::vector<std::byte> segment_index::encode_offsets(size_t from) const {
  std::vector<std::byte> out((offsets_.size() - from) * offset_index_entry_bytes);
  std::byte* to = out.data();
  for (size_t i = from; i < offsets_.size(); ++i, to += offset_index_entry_bytes) {
    store_be<uint32_t>(to, offsets_[i].relative_offset);
    store_be<uint32_t>(to + 4, offsets_[i].position);
  }
  return out;
}

std::vector<std::byte> segment_index::encode_times(size_t from) const {
  std::vector<std::byte> out((times_.size() - from) * time_index_entry_bytes);
  std::byte* to = out.data();
  for (size_t i = from; i < times_.size(); ++i, to += time_index_entry_bytes) {
    store_be<int64_t>(to, times_[i].timestamp_ms);
    store_be<uint32_t>(to + 8, times_[i].relative_offset);
  }
  return out;
}

bool segment_index::load_offsets(bytes_view file, size_t count) {
  count = std::min(count, file.size() / offset_index_entry_bytes);
  offsets_.clear();
  offsets_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const std::byte* from = file.data() + i * offset_index_entry_bytes;
    const offset_index_entry e{load_be<uint32_t>(from), load_be<uint32_t>(from + 4)};
    if (!offsets_.empty() &&
        (e.relative_offset <= offsets_.back().relative_offset || e.position <= offsets_.back().position))
      return false;
    offsets_.push_back(e);
  }
  return true;
}

bool segment_index::load_times(bytes_view file, size_t count) {
  count = std::min(count, file.size() / time_index_entry_bytes);
  times_.clear();
  times_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const std::byte* from = file.data() + i * time_index_entry_bytes;
    const time_index_entry e{load_be<int64_t>(from), load_be<uint32_t>(from + 8)};
    if (!times_.empty() && e.timestamp_ms < times_.back().timestamp_ms) return false;
    times_.push_back(e);
  }
  return true;
}

}  // namespace millrace::storage
