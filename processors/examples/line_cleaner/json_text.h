// json_text: what of JSON (RFC 8259) is needed to write strings and to recognise numbers.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

inline bool is_json_number(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t from = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    return at > from;
  };
  if (at < text.size() && text[at] == '-') ++at;
  if (at < text.size() && text[at] == '0') {
    ++at;
  } else if (!digits()) {
    return false;
  }
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (!digits()) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (!digits()) return false;
  }
  return at == text.size();
}

// Appends `text` in quotes. Requires: UTF-8.
inline void append_json_string(std::string& out, std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out += hex[c >> 4];
          out += hex[c & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

// Whether `text` is well-formed UTF-8: no overlong forms, no surrogates, nothing past U+10FFFF.
inline bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    if (lead < 0x80) continue;
    const int following = lead >= 0xc2 && lead <= 0xdf   ? 1
                          : (lead & 0xf0) == 0xe0        ? 2
                          : lead >= 0xf0 && lead <= 0xf4 ? 3
                                                         : 0;
    if (following == 0) return false;
    for (int k = 0; k < following; ++k, ++i) {
      if (i == text.size()) return false;
      const auto c = static_cast<unsigned char>(text[i]);
      if ((c & 0xc0) != 0x80) return false;
      if (k > 0) continue;
      const bool is_bad = (lead == 0xe0 && c < 0xa0) || (lead == 0xed && c >= 0xa0) ||
                          (lead == 0xf0 && c < 0x90) || (lead == 0xf4 && c >= 0x90);
      if (is_bad) return false;
    }
  }
  return true;
}
