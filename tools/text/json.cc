#include "tools/text/json.h"

#include <array>
#include <cmath>
#include <fmt/format.h>

namespace millrace::tools {

namespace {

constexpr std::string_view base64_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view hex_digits = "0123456789abcdef";

// Length of the UTF-8 sequence at the start of `text`, 0 if it is malformed. Table 3-7 of the Unicode
// standard.
size_t utf8_sequence(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80;
    const unsigned high = first == 0xed ? 0x9f : 0xbf;
    return continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const unsigned low = first == 0xf0 ? 0x90 : 0x80;
    const unsigned high = first == 0xf4 ? 0x8f : 0xbf;
    return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

bool is_plain(unsigned char c) {
  return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

void append_escaped(std::string& out, unsigned char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out += hex_digits[c >> 4];
      out += hex_digits[c & 15];
  }
}

constexpr std::array<int8_t, 256> base64_values = [] {
  std::array<int8_t, 256> values{};
  values.fill(-1);
  for (size_t i = 0; i < base64_alphabet.size(); ++i) {
    values[static_cast<unsigned char>(base64_alphabet[i])] = static_cast<int8_t>(i);
  }
  return values;
}();

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = utf8_sequence(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  size_t run = 0;  // plain characters from the start of `text`, copied at once
  while (run < text.size()) {
    const auto c = static_cast<unsigned char>(text[run]);
    if (is_plain(c)) {
      ++run;
      continue;
    }
    out.append(text.substr(0, run));
    text.remove_prefix(run);
    run = 0;
    if (c < 0x80) {
      append_escaped(out, c);
      text.remove_prefix(1);
    } else if (const size_t length = utf8_sequence(text); length > 0) {
      out.append(text.substr(0, length));
      text.remove_prefix(length);
    } else {
      out += "\xef\xbf\xbd";
      text.remove_prefix(1);
    }
  }
  out.append(text);
  out += '"';
}

void append_base64(std::string& out, std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t present = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < present ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (size_t k = 0; k < 4; ++k) {
      out += k <= present ? base64_alphabet[group >> (18 - 6 * k) & 63] : '=';
    }
  }
}

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    std::string_view group = text.substr(i, 4);
    const bool is_last = i + 4 == text.size();
    size_t padding = 0;
    while (is_last && padding < 2 && group[3 - padding] == '=') ++padding;
    uint32_t bits = 0;
    for (size_t k = 0; k < 4; ++k) {
      const int value = k < 4 - padding ? base64_values[static_cast<unsigned char>(group[k])] : 0;
      if (value < 0) return std::nullopt;
      bits = bits << 6 | static_cast<uint32_t>(value);
    }
    for (size_t k = 0; k < 3 - padding; ++k) out += static_cast<char>(bits >> (16 - 8 * k) & 0xff);
  }
  return out;
}

json_writer& json_writer::value(double number) {
  return literal(std::isfinite(number) ? fmt::format("{}", number) : "null");
}

json_writer& json_writer::bytes_member(std::string_view name, std::optional<std::string_view> bytes) {
  if (!bytes) return key(name).null();
  if (is_utf8(*bytes)) return key(name).value(*bytes);
  key(std::string(name) + "_base64");
  separate();
  out_ += '"';
  append_base64(out_, *bytes);
  out_ += '"';
  return *this;
}

}  // namespace millrace::tools
