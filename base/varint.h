// varint: LEB128 integers as record batches (zigzag) and flexible messages (unsigned) use them.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace millrace {

inline constexpr size_t varint32_bytes_max = 5;
inline constexpr size_t varint64_bytes_max = 10;

constexpr uint32_t zigzag_encode(int32_t v) noexcept {
  return (static_cast<uint32_t>(v) << 1) ^ static_cast<uint32_t>(v >> 31);
}
constexpr int32_t zigzag_decode(uint32_t v) noexcept {
  return static_cast<int32_t>(v >> 1) ^ -static_cast<int32_t>(v & 1);
}
constexpr uint64_t zigzag_encode64(int64_t v) noexcept {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
constexpr int64_t zigzag_decode64(uint64_t v) noexcept {
  return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
}

constexpr size_t uvarint_size(uint64_t v) noexcept {
  return 1 + (static_cast<size_t>(std::bit_width(v | 1)) - 1) / 7;
}

// Writes at most varint64_bytes_max bytes; returns how many. Requires: room for them.
inline size_t put_uvarint(std::byte* at, uint64_t v) noexcept {
  size_t n = 0;
  while (v >= 0x80) {
    at[n++] = static_cast<std::byte>(v | 0x80);
    v >>= 7;
  }
  at[n++] = static_cast<std::byte>(v);
  return n;
}

// Reads one integer from the front of `in` and moves `in` past it; nothing if it is cut off or does
// not fit the type (more than 5 or 10 bytes, or bits beyond the 32nd/64th).
inline std::optional<uint64_t> get_uvarint64(bytes_view& in) noexcept {
  uint64_t value = 0;
  const size_t limit = in.size() < varint64_bytes_max ? in.size() : varint64_bytes_max;
  for (size_t i = 0; i < limit; ++i) {
    const auto byte = static_cast<uint64_t>(in[i]);
    if (i == varint64_bytes_max - 1 && byte > 1) return std::nullopt;
    value |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      in = in.subspan(i + 1);
      return value;
    }
  }
  return std::nullopt;
}

inline std::optional<uint32_t> get_uvarint32(bytes_view& in) noexcept {
  uint32_t value = 0;
  const size_t limit = in.size() < varint32_bytes_max ? in.size() : varint32_bytes_max;
  for (size_t i = 0; i < limit; ++i) {
    const auto byte = static_cast<uint32_t>(in[i]);
    if (i == varint32_bytes_max - 1 && byte > 0x0f) return std::nullopt;
    value |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      in = in.subspan(i + 1);
      return value;
    }
  }
  return std::nullopt;
}

inline std::optional<int32_t> get_varint32(bytes_view& in) noexcept {
  const auto raw = get_uvarint32(in);
  if (!raw) return std::nullopt;
  return zigzag_decode(*raw);
}

inline std::optional<int64_t> get_varint64(bytes_view& in) noexcept {
  const auto raw = get_uvarint64(in);
  if (!raw) return std::nullopt;
  return zigzag_decode64(*raw);
}

}  // namespace millrace
