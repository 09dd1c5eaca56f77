// json: writing JSON, one value after the other, into a string.
//
// Record keys and values are bytes, not text. Members made by bytes_member() are therefore named after
// what they hold: "value" when the bytes are UTF-8, "value_base64" when they are not, and null for null.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::tools {

// Whether `text` is well-formed UTF-8 (no surrogates, no overlong forms).
bool is_utf8(std::string_view text);
// Appends `text` quoted and escaped. Requires: is_utf8(text); other bytes come out as U+FFFD.
void append_json_string(std::string& out, std::string_view text);
void append_base64(std::string& out, std::string_view bytes);
// Nothing if `text` is not padded base64.
std::optional<std::string> decode_base64(std::string_view text);

// Places commas and colons. Begin and end must pair; the caller keeps the order right.
class json_writer {
 public:
  explicit json_writer(std::string& out) : out_(out) {}

  json_writer& begin_object() { return open('{'); }
  json_writer& end_object() { return close('}'); }
  json_writer& begin_array() { return open('['); }
  json_writer& end_array() { return close(']'); }

  json_writer& key(std::string_view name) {
    separate();
    append_json_string(out_, name);
    out_ += ':';
    needs_comma_ = false;
    return *this;
  }

  json_writer& value(std::string_view text) {
    separate();
    append_json_string(out_, text);
    return *this;
  }
  json_writer& value(const char* text) { return value(std::string_view(text)); }
  json_writer& value(bool b) { return literal(b ? "true" : "false"); }
  json_writer& value(std::integral auto number) { return literal(std::to_string(number)); }
  json_writer& value(double number);
  json_writer& null() { return literal("null"); }

  template <class T>
  json_writer& member(std::string_view name, const T& v) {
    return key(name).value(v);
  }
  json_writer& bytes_member(std::string_view name, std::optional<std::string_view> bytes);

 private:
  void separate() {
    if (needs_comma_) out_ += ',';
    needs_comma_ = true;
  }
  json_writer& literal(std::string_view text) {
    separate();
    out_ += text;
    return *this;
  }
  json_writer& open(char c) {
    separate();
    out_ += c;
    needs_comma_ = false;
    return *this;
  }
  json_writer& close(char c) {
    out_ += c;
    needs_comma_ = true;
    return *this;
  }

  std::string& out_;
  bool needs_comma_ = false;
};

}  // namespace millrace::tools
