// writer: puts Kafka messages together.
//
// The mirror of reader. Small fields go into one growing chunk; record batches are appended by
// reference, so a Fetch answer is a few hundred bytes of fields between slices of the cache. A length
// that its encoding cannot carry (a string beyond 32767 bytes in an older version) is cut to what fits
// and remembered: is_truncated().
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/uuid.h"
#include "base/varint.h"

namespace millrace::protocol {

class writer {
 public:
  // `size_hint`: how many bytes of fields to expect, records not counted.
  explicit writer(size_t size_hint = 256) : chunk_(buffer::allocate(size_hint)) {}

  // Chooses the encoding of strings, bytes, arrays and tagged sections from here on.
  void set_flexible(bool flexible) noexcept { flexible_ = flexible; }
  bool is_flexible() const noexcept { return flexible_; }

  size_t size() const noexcept { return done_.size() + used_ - sealed_; }
  bool is_truncated() const noexcept { return truncated_; }

  template <std::integral T>
  void put(T value) {
    reserve(sizeof(T));
    store_be(chunk_.data() + used_, value);
    used_ += sizeof(T);
  }
  void put(double value) { put(std::bit_cast<uint64_t>(value)); }
  void put(const uuid& id) { put_raw(id.bytes); }
  void put(std::string_view text);
  void put(bytes_view bytes);
  void put(const std::vector<std::byte>& bytes) { put(bytes_view(bytes)); }
  void put(const iobuf& records);
  // Null where `null_allowed`, else empty.
  template <class T>
  void put(const std::optional<T>& value, bool null_allowed = true) {
    if (value) return put(*value);
    if (!null_allowed) return put(T{});
    put_null(std::is_same_v<T, std::string_view> || std::is_same_v<T, std::string>);
  }

  void put_array_length(size_t count);
  void put_null_array();
  void put_uvarint(uint64_t value);
  void put_raw(bytes_view bytes);

  // The end of a struct: in flexible versions the number of tagged fields that follow, else nothing.
  void put_tag_count(uint32_t count) {
    if (flexible_) put_uvarint(count);
  }
  // A tagged field: what is put between the two calls. Requires: no records in it.
  size_t begin_tag(uint32_t tag);
  void end_tag(size_t begun);

  // Overwrites four bytes put earlier, before any records. Requires: `at` + 4 <= bytes put before them.
  void patch_int32(size_t at, int32_t value);

  // Everything put so far. The writer is spent.
  iobuf finish() &&;

 private:
  void reserve(size_t more) {
    if (chunk_.capacity() - used_ < more) [[unlikely]]
      grow(more);
  }
  void grow(size_t more);
  void put_length(size_t size, bool is_string);
  void put_null(bool is_string);
  // Moves what the chunk holds since the last seal to the finished part.
  void seal();

  iobuf done_;
  buffer chunk_;
  size_t sealed_ = 0;  // bytes at the chunk's front that done_ already has
  size_t used_ = 0;
  bool flexible_ = false;
  bool truncated_ = false;
};

}  // namespace millrace::protocol
