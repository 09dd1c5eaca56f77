#include "tools/text/record_format.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "tools/text/escape.h"
#include "tools/text/json.h"

namespace millrace::tools {

namespace {

constexpr std::string_view fields = "kshtpoTKSR";

int64_t length_of(std::optional<std::string_view> bytes) {
  return bytes ? static_cast<int64_t>(bytes->size()) : -1;
}

bool is_readable(std::string_view bytes) {
  return is_utf8(bytes) && std::ranges::none_of(bytes, [](char c) {
           return (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n') || c == 0x7f;
         });
}

void append_bytes(std::string& out, std::optional<std::string_view> bytes, rendering as) {
  if (!bytes) return;
  if (as == rendering::raw || (as == rendering::either && is_readable(*bytes))) {
    out += *bytes;
    return;
  }
  constexpr std::string_view digits = "0123456789abcdef";
  if (as == rendering::either) out += "0x";
  for (const char c : *bytes) {
    out += digits[static_cast<unsigned char>(c) >> 4];
    out += digits[static_cast<unsigned char>(c) & 0xf];
  }
}

void append_headers(std::string& out, const std::vector<header_view>& headers, rendering as) {
  for (size_t i = 0; i < headers.size(); ++i) {
    if (i > 0) out += ',';
    out += headers[i].name;
    out += '=';
    append_bytes(out, headers[i].value, as);
  }
}

void append_binary_length(std::string& out, std::optional<std::string_view> bytes) {
  std::array<std::byte, 4> raw;
  store_be<int32_t>(raw.data(), static_cast<int32_t>(length_of(bytes)));
  out += as_text(raw);
}

void append_field(std::string& out, char field, const record_view& record, rendering as) {
  switch (field) {
    case 'k':
      append_bytes(out, record.key, as);
      return;
    case 's':
      append_bytes(out, record.value, as);
      return;
    case 'h':
      append_headers(out, record.headers, as);
      return;
    case 't':
      out += record.topic;
      return;
    case 'p':
      out += std::to_string(record.partition);
      return;
    case 'o':
      out += std::to_string(record.offset);
      return;
    case 'T':
      out += std::to_string(record.timestamp_ms);
      return;
    case 'K':
      out += std::to_string(length_of(record.key));
      return;
    case 'S':
      out += std::to_string(length_of(record.value));
      return;
    case 'R':
      append_binary_length(out, record.value);
      return;
    default:
      return;
  }
}

}  // namespace

result<record_format> record_format::parse(std::string_view pattern, rendering bytes_as) {
  record_format format;
  format.bytes_as_ = bytes_as;
  std::string literal;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      // Kept as written here, replaced below; only the next character must not start a field.
      literal += pattern.substr(i, 2);
      ++i;
      continue;
    }
    if (pattern[i] != '%') {
      literal += pattern[i];
      continue;
    }
    const char field = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    ++i;
    if (field == '%') {
      literal += '%';
      continue;
    }
    if (field == '\0' || fields.find(field) == std::string_view::npos) {
      return fail(errc::invalid_argument,
                  "the format '{}' has no field '%{}'; there are %k %s %h %t %p %o %T %K %S %R and %%",
                  pattern, field == '\0' ? ' ' : field);
    }
    const auto text = unescape(literal);
    if (!text) return fail(text.error());
    format.pieces_.push_back({.literal = *text, .field = field});
    literal.clear();
  }
  const auto rest = unescape(literal);
  if (!rest) return fail(rest.error());
  if (!rest->empty()) format.pieces_.push_back({.literal = *rest});
  return format;
}

void record_format::append(std::string& out, const record_view& record) const {
  for (const piece& p : pieces_) {
    out += p.literal;
    append_field(out, p.field, record, bytes_as_);
  }
}

}  // namespace millrace::tools
