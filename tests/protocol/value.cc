#include "tests/protocol/value.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/assert.h"

namespace millrace::protocol::testing {

namespace {

// What of `text` is base64, as bytes; strings that are none give something nobody asks for.
std::vector<std::byte> from_base64(std::string_view text) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::byte> out;
  uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const size_t digit = alphabet.find(c);
    if (digit == std::string_view::npos) break;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    held += 6;
    if (held >= 8) {
      held -= 8;
      out.push_back(static_cast<std::byte>(bits >> held));
    }
  }
  return out;
}

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  MR_ASSERT(c >= 'a' && c <= 'f');
  return c - 'a' + 10;
}

}  // namespace

struct value_parser {
  static value convert(const nlohmann::json& json) {
    value out;
    if (json.is_null()) return out;
    out.kind_ = value::kind::scalar;
    if (json.is_boolean()) {
      out.integer_ = json.get<bool>();
    } else if (json.is_number_float()) {
      out.real_ = json.get<double>();
    } else if (json.is_number()) {
      out.integer_ = json.get<int64_t>();
      out.real_ = static_cast<double>(out.integer_);
    } else if (json.is_string()) {
      out.text_ = json.get<std::string>();
      *out.bytes_ = from_base64(out.text_);
    } else if (json.is_array()) {
      out.kind_ = value::kind::list;
      for (const auto& item : json) out.items_.push_back(convert(item));
    } else {
      out.kind_ = value::kind::map;
      for (const auto& [name, field] : json.items()) out.fields_.emplace(name, convert(field));
    }
    return out;
  }
};

value value::parse_json(std::string_view text) {
  return value_parser::convert(nlohmann::json::parse(text));
}

std::vector<std::byte> from_hex(std::string_view hex) {
  MR_ASSERT(hex.size() % 2 == 0);
  std::vector<std::byte> out;
  for (size_t i = 0; i < hex.size(); i += 2) {
    out.push_back(static_cast<std::byte>(nibble(hex[i]) << 4 | nibble(hex[i + 1])));
  }
  return out;
}

std::string to_hex(bytes_view bytes) {
  std::string out;
  for (const std::byte b : bytes) out += fmt::format("{:02x}", static_cast<unsigned>(b));
  return out;
}

}  // namespace millrace::protocol::testing
