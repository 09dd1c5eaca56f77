#include "storage/wal/reader.h"

#include <algorithm>
#include <utility>

#include "storage/fault.h"

namespace millrace::storage::wal {

namespace {
constexpr uint64_t window_bytes_min = 64 * limits::KiB;
constexpr uint64_t window_bytes_max = 1 * limits::MiB;
}  // namespace

task<result<slice>> reader::look(uint64_t at, uint64_t bytes) {
  bytes = std::min(bytes, capacity_ - at);
  if (at >= window_at_ && at + bytes <= window_at_ + window_.size())
    co_return window_.sub(at - window_at_, window_.size() - (at - window_at_));
  window_bytes_ = std::clamp(4 * window_bytes_, window_bytes_min, window_bytes_max);
  const uint64_t wanted = std::min(std::max(align_up(bytes, block_bytes), window_bytes_), capacity_ - at);
  buffer memory = buffer::allocate(wanted);
  const mutable_bytes into(memory.data(), wanted);
  auto got = co_await file_.read(at, into);
  if (!got) co_return fail(got.error());
  window_ = slice(std::move(memory), 0, *got);
  window_at_ = at;
  co_return window_;
}

task<result<std::optional<found_frame>>> reader::frame_at(uint64_t at) {
  auto head = co_await look(at, block_bytes);
  if (!head) co_return fail(head.error());
  const std::optional<frame_header> header = load_header(*head);
  if (!header || header->padded_bytes() > capacity_ - at) co_return std::nullopt;
  auto whole = co_await look(at, header->padded_bytes());
  if (!whole) co_return fail(whole.error());
  if (whole->size() < header->padded_bytes()) co_return std::nullopt;
  slice bytes = whole->sub(0, header->padded_bytes());
  if (!verifies(bytes, *header) && !MILLRACE_FAULT(checksum_ignored)) co_return std::nullopt;
  co_return found_frame{*header, at, std::move(bytes)};
}

task<result<std::optional<file_header>>> reader::open() {
  if (capacity_ < block_bytes) co_return std::nullopt;
  auto head = co_await look(0, block_bytes);
  if (!head) co_return fail(head.error());
  const std::optional<file_header> header = load_file_header(*head);
  if (header) generation_ = header->generation;
  co_return header;
}

task<result<std::optional<found_frame>>> reader::next() {
  if (generation_ == 0 || position_ >= capacity_) co_return std::nullopt;
  auto found = co_await frame_at(position_);
  if (!found || !*found) co_return found;
  const frame_header& header = (*found)->header;
  if (MILLRACE_FAULT(wrong_truncation) && header.entries == 0) co_return std::nullopt;
  if (header.generation != generation_ && !MILLRACE_FAULT(generation_ignored)) co_return std::nullopt;
  if (!MILLRACE_FAULT(generation_ignored) && last_.value() != 0 && header.lsn != last_.next())
    co_return std::nullopt;
  last_ = header.lsn;
  position_ += header.padded_bytes();
  co_return found;
}

task<result<std::optional<found_frame>>> reader::find_later(lsn lsn_min) {
  for (uint64_t at = position_; at < capacity_; at += block_bytes) {
    auto head = co_await look(at, block_bytes);
    if (!head) co_return fail(head.error());
    const std::optional<frame_header> header = load_header(*head);
    if (!header || header->lsn < lsn_min) continue;
    if (generation_ != 0 && header->generation != generation_) continue;
    auto found = co_await frame_at(at);
    if (!found || *found) co_return found;
  }
  co_return std::nullopt;
}

}  // namespace millrace::storage::wal
