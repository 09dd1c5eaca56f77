// uuid: 16 bytes, as Kafka's topic ids (KIP-516), written as 22 characters of URL-safe base64.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace millrace {

struct uuid {
  std::array<std::byte, 16> bytes{};

  auto operator<=>(const uuid&) const = default;
  bool is_zero() const noexcept { return *this == uuid{}; }

  // 22 characters of base64url without padding.
  std::string to_string() const;
  // Nothing unless `text` is exactly such a form.
  static std::optional<uuid> parse(std::string_view text);
  // A version-4 value from 128 random bits whose text does not begin with '-' (tools would take it for a
  // flag) and which is none of Kafka's reserved ids.
  // `next` gives 64 random bits a call.
  static uuid make(const std::function<uint64_t()>& next);
};

}  // namespace millrace

template <>
struct std::hash<millrace::uuid> {
  size_t operator()(const millrace::uuid& id) const noexcept {
    uint64_t half[2];
    std::memcpy(half, id.bytes.data(), sizeof(half));
    return half[0] ^ (half[1] * 0x9e3779b97f4a7c15ULL);
  }
};
