#include "base/uuid.h"

namespace millrace {

namespace {
constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr size_t text_length = 22;
}  // namespace

std::string uuid::to_string() const {
  std::string text;
  text.reserve(text_length);
  uint32_t bits = 0;
  int held = 0;
  for (std::byte b : bytes) {
    bits = (bits << 8) | static_cast<uint32_t>(b);
    held += 8;
    while (held >= 6) {
      held -= 6;
      text += alphabet[(bits >> held) & 63];
    }
  }
  text += alphabet[(bits << (6 - held)) & 63];
  return text;
}

std::optional<uuid> uuid::parse(std::string_view text) {
  if (text.size() != text_length) return std::nullopt;
  uuid id;
  uint32_t bits = 0;
  int held = 0;
  size_t out = 0;
  for (char c : text) {
    const size_t digit = alphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = (bits << 6) | static_cast<uint32_t>(digit);
    held += 6;
    if (held >= 8) {
      held -= 8;
      if (out < id.bytes.size()) id.bytes[out++] = static_cast<std::byte>(bits >> held);
    }
  }
  // 22 digits hold 132 bits; the last four must be zero or two texts would name one id.
  if ((bits & ((1u << held) - 1)) != 0) return std::nullopt;
  return id;
}

uuid uuid::make(const std::function<uint64_t()>& next) {
  for (;;) {
    uuid id;
    const uint64_t half[2] = {next(), next()};
    std::memcpy(id.bytes.data(), half, sizeof(half));
    id.bytes[6] = (id.bytes[6] & std::byte{0x0f}) | std::byte{0x40};
    id.bytes[8] = (id.bytes[8] & std::byte{0x3f}) | std::byte{0x80};
    if (id.to_string().front() != '-') return id;
  }
}

}  // namespace millrace
