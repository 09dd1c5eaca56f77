#include "protocol/writer.h"

#include <algorithm>
#include <limits>

#include "base/assert.h"

namespace millrace::protocol {

void writer::grow(size_t more) {
  const size_t live = used_ - sealed_;
  // Doubling what is live, so that a chunk that was sealed often does not make the next one large.
  buffer larger = buffer::allocate(std::max(2 * live + 128, live + more));
  if (live > 0) std::memcpy(larger.data(), chunk_.data() + sealed_, live);
  chunk_ = std::move(larger);
  sealed_ = 0;
  used_ = live;
}

void writer::put_uvarint(uint64_t value) {
  reserve(varint64_bytes_max);
  used_ += millrace::put_uvarint(chunk_.data() + used_, value);
}

void writer::put_raw(bytes_view bytes) {
  if (bytes.empty()) return;
  reserve(bytes.size());
  std::memcpy(chunk_.data() + used_, bytes.data(), bytes.size());
  used_ += bytes.size();
}

void writer::put_length(size_t size, bool is_string) {
  if (flexible_) return put_uvarint(size + 1);
  if (is_string) return put(static_cast<int16_t>(size));
  put(static_cast<int32_t>(size));
}

void writer::put_null(bool is_string) {
  if (flexible_) return put_uvarint(0);
  if (is_string) return put(int16_t{-1});
  put(int32_t{-1});
}

void writer::put(std::string_view text) {
  constexpr size_t longest = std::numeric_limits<int16_t>::max();
  if (!flexible_ && text.size() > longest) {
    text = text.substr(0, longest);
    truncated_ = true;
  }
  put_length(text.size(), true);
  put_raw(as_bytes(text));
}

void writer::put(bytes_view bytes) {
  put_length(bytes.size(), false);
  put_raw(bytes);
}

void writer::put(const iobuf& records) {
  put_length(records.size(), false);
  if (records.empty()) return;
  seal();
  done_.append(records);
}

void writer::put_array_length(size_t count) {
  if (flexible_) return put_uvarint(count + 1);
  put(static_cast<int32_t>(count));
}

void writer::put_null_array() {
  if (flexible_) return put_uvarint(0);
  put(int32_t{-1});
}

size_t writer::begin_tag(uint32_t tag) {
  put_uvarint(tag);
  return size();
}

void writer::end_tag(size_t begun) {
  // The size comes first and is as short as it can be, so the value moves up once its size is known.
  const size_t value_bytes = size() - begun;
  MR_ASSERT(value_bytes <= used_ - sealed_);
  std::byte prefix[varint64_bytes_max];
  const size_t prefix_bytes = millrace::put_uvarint(prefix, value_bytes);
  reserve(prefix_bytes);
  std::byte* const value = chunk_.data() + used_ - value_bytes;
  std::memmove(value + prefix_bytes, value, value_bytes);
  std::memcpy(value, prefix, prefix_bytes);
  used_ += prefix_bytes;
}

void writer::patch_int32(size_t at, int32_t value) {
  if (done_.empty()) {
    MR_ASSERT(at + sizeof(value) <= used_);
    return store_be(chunk_.data() + at, value);
  }
  const slice& front = done_.slices().front();
  MR_ASSERT(at + sizeof(value) <= front.size() && front.data() == front.owner().data());
  store_be(front.owner().data() + at, value);
}

void writer::seal() {
  if (used_ == sealed_) return;
  done_.append(slice(chunk_, sealed_, used_ - sealed_));
  sealed_ = used_;
}

iobuf writer::finish() && {
  seal();
  return std::move(done_);
}

}  // namespace millrace::protocol
