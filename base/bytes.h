// bytes: views of raw memory and big/little-endian loads and stores.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace millrace {

using bytes_view = std::span<const std::byte>;
using mutable_bytes = std::span<std::byte>;

inline bytes_view as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

inline std::string_view as_text(bytes_view bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Unaligned loads and stores. Requires: `sizeof(T)` readable (writable) bytes at `at`.
template <std::integral T>
T load_be(const std::byte* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof(T));
  if constexpr (sizeof(T) > 1) value = std::byteswap(value);
  return value;
}

template <std::integral T>
void store_be(std::byte* at, T value) noexcept {
  if constexpr (sizeof(T) > 1) value = std::byteswap(value);
  std::memcpy(at, &value, sizeof(T));
}

template <std::integral T>
T load_le(const std::byte* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

template <std::integral T>
void store_le(std::byte* at, T value) noexcept {
  std::memcpy(at, &value, sizeof(T));
}

static_assert(std::endian::native == std::endian::little, "load_le/store_le and the WAL format assume it");

constexpr uint64_t align_up(uint64_t value, uint64_t alignment) noexcept {
  return (value + alignment - 1) / alignment * alignment;
}

constexpr uint64_t align_down(uint64_t value, uint64_t alignment) noexcept {
  return value / alignment * alignment;
}

}  // namespace millrace
