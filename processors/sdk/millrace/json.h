// millrace/json.h: JSON values, to read, build and write.
//
//     const auto order = record.value_as<millrace::json>();
//     const std::string_view customer = order["customer"].text();
//     millrace::json out = millrace::json::object();
//     out["customer"] = customer;
//     out["total"] = order["price"].number() * order["count"].number();
//     context.emit(totals_, record.key(), millrace::encode(out));
//
// RFC 8259, strictly: one value, UTF-8, nothing behind it but white space. Numbers that are written as whole
// and fit 64 bits stay whole, others are doubles. Members keep their order and names are unique (the last one
// wins), so a value is written the same way on every run. Nesting is limited to 100 levels.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "serde.h"

namespace millrace {
inline namespace sdk_v1 {

class json {
 public:
  using member = std::pair<std::string, json>;

  json() = default;  // null
  json(std::nullptr_t) {}
  json(bool value) : value_(value) {}
  json(std::int64_t value) : value_(value) {}
  json(int value) : value_(std::int64_t{value}) {}
  json(double value) : value_(value) {}
  json(std::string value) : value_(std::move(value)) {}
  json(std::string_view value) : value_(std::string(value)) {}
  json(const char* value) : value_(std::string(value)) {}
  static json object() { return json(members{}); }
  static json array() { return json(elements{}); }

  bool is_null() const noexcept { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const noexcept { return std::holds_alternative<bool>(value_); }
  bool is_whole() const noexcept { return std::holds_alternative<std::int64_t>(value_); }
  bool is_number() const noexcept { return is_whole() || std::holds_alternative<double>(value_); }
  bool is_text() const noexcept { return std::holds_alternative<std::string>(value_); }
  bool is_object() const noexcept { return std::holds_alternative<members>(value_); }
  bool is_array() const noexcept { return std::holds_alternative<elements>(value_); }

  // The value as that kind; throw if it is of another.
  bool truth() const { return as<bool>("true or false"); }
  std::int64_t whole() const { return as<std::int64_t>("a whole number"); }
  double number() const {
    return is_whole() ? static_cast<double>(std::get<std::int64_t>(value_)) : as<double>("a number");
  }
  const std::string& text() const { return as<std::string>("a text"); }
  const std::vector<member>& object_members() const { return as<members>("an object"); }
  const std::vector<json>& array_elements() const { return as<elements>("an array"); }

  // The member of that name; null if there is none. Throws if this is no object.
  const json& operator[](std::string_view name) const {
    static const json none;
    for (const member& m : object_members())
      if (m.first == name) return m.second;
    return none;
  }
  // The same to assign to; makes an object of null.
  json& operator[](std::string_view name) {
    if (is_null()) value_ = members{};
    if (!is_object()) throw failure("not an object");
    auto& all = std::get<members>(value_);
    for (member& m : all)
      if (m.first == name) return m.second;
    return all.emplace_back(std::string(name), json()).second;
  }
  const json& operator[](const char* name) const { return (*this)[std::string_view(name)]; }
  json& operator[](const char* name) { return (*this)[std::string_view(name)]; }
  // Takes the member of that name out of an object; false if there is none.
  bool remove(std::string_view name) {
    auto* const all = std::get_if<members>(&value_);
    if (!all) return false;
    const auto at = std::find_if(all->begin(), all->end(), [&](const member& m) { return m.first == name; });
    if (at == all->end()) return false;
    all->erase(at);
    return true;
  }
  // Appends to an array; makes one of null.
  void push_back(json value) {
    if (is_null()) value_ = elements{};
    if (!is_array()) throw failure("not an array");
    std::get<elements>(value_).push_back(std::move(value));
  }

  friend bool operator==(const json& a, const json& b) { return a.value_ == b.value_; }

  // Without white space.
  void write(std::string& to) const {
    if (is_null()) {
      to += "null";
    } else if (is_bool()) {
      to += std::get<bool>(value_) ? "true" : "false";
    } else if (is_whole()) {
      to += std::to_string(std::get<std::int64_t>(value_));
    } else if (is_number()) {
      write_double(std::get<double>(value_), to);
    } else if (is_text()) {
      write_text(std::get<std::string>(value_), to);
    } else if (is_array()) {
      char before = '[';
      for (const json& e : std::get<elements>(value_)) {
        to += std::exchange(before, ',');
        e.write(to);
      }
      if (before == '[') to += '[';
      to += ']';
    } else {
      char before = '{';
      for (const member& m : std::get<members>(value_)) {
        to += std::exchange(before, ',');
        write_text(m.first, to);
        to += ':';
        m.second.write(to);
      }
      if (before == '{') to += '{';
      to += '}';
    }
  }

  // Throws millrace::failure, naming the byte, if `text` is not one JSON value.
  static json parse(std::string_view text);

 private:
  using members = std::vector<member>;
  using elements = std::vector<json>;
  class parser;

  explicit json(members value) : value_(std::move(value)) {}
  explicit json(elements value) : value_(std::move(value)) {}

  template <class T>
  const T& as(const char* what) const {
    if (const T* value = std::get_if<T>(&value_)) return *value;
    throw failure(std::string("not ") + what);
  }

  static void write_double(double value, std::string& to) {
    if (!std::isfinite(value)) throw failure("JSON has no number for infinity or not-a-number");
    char buffer[32];
    // Zero has no sign here, as in JSON.stringify: "-0" would be read as the whole number 0.
    const auto [end, code] = std::to_chars(buffer, buffer + sizeof(buffer), value == 0 ? 0.0 : value);
    (void)code;
    to.append(buffer, end);
  }

  static void write_text(std::string_view text, std::string& to) {
    if (!detail::is_utf8(text)) throw failure("not a text: it is not UTF-8");
    to += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        to += '\\';
        to += c;
      } else if (c == '\n') {
        to += "\\n";
      } else if (c == '\t') {
        to += "\\t";
      } else if (static_cast<unsigned char>(c) < 0x20) {
        char buffer[8];
        std::snprintf(buffer, sizeof(buffer), "\\u%04x", static_cast<unsigned>(c));
        to += buffer;
      } else {
        to += c;
      }
    }
    to += '"';
  }

  std::variant<std::monostate, bool, std::int64_t, double, std::string, members, elements> value_;
};

class json::parser {
 public:
  explicit parser(std::string_view text) : text_(text) {}

  json whole() {
    if (!detail::is_utf8(text_)) throw failure("not JSON: it is not UTF-8");
    json value = any(0);
    skip_space();
    if (at_ != text_.size()) fail("there is something behind the value");
    return value;
  }

 private:
  static constexpr int depth_max = 100;

  [[noreturn]] void fail(const char* why) const {
    throw failure("not JSON: " + std::string(why) + " (byte " + std::to_string(at_) + ")");
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }
  bool take(char c) {
    if (peek() != c || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) fail("a value is expected");
    at_ += word.size();
  }

  json any(int depth) {
    if (depth > depth_max) fail("it is nested too deeply");
    skip_space();
    switch (peek()) {
      case '{':
        return object(depth);
      case '[':
        return array(depth);
      case '"':
        return json(text());
      case 't':
        expect("true");
        return json(true);
      case 'f':
        expect("false");
        return json(false);
      case 'n':
        expect("null");
        return json();
      default:
        return number();
    }
  }

  json object(int depth) {
    members all;
    ++at_;
    skip_space();
    if (take('}')) return json(std::move(all));
    do {
      skip_space();
      if (peek() != '"') fail("a name is expected");
      std::string name = text();
      skip_space();
      if (!take(':')) fail("a colon is expected");
      all.emplace_back(std::move(name), any(depth + 1));
      skip_space();
    } while (take(','));
    if (!take('}')) fail("a comma or } is expected");
    keep_last_of_each(all);
    return json(std::move(all));
  }

  // Of members with one name the last one stays, in the place of the first. In n log n: there may be a
  // million.
  static void keep_last_of_each(members& all) {
    std::vector<std::size_t> order(all.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    const auto is_before = [&](std::size_t a, std::size_t b) {
      const int names = all[a].first.compare(all[b].first);
      return names != 0 ? names < 0 : a < b;
    };
    std::sort(order.begin(), order.end(), is_before);
    std::vector<std::size_t> repeated;
    for (std::size_t i = 0; i < order.size();) {
      std::size_t end = i + 1;
      while (end < order.size() && all[order[end]].first == all[order[i]].first)
        repeated.push_back(order[end++]);
      if (end > i + 1) all[order[i]].second = std::move(all[order[end - 1]].second);
      i = end;
    }
    if (repeated.empty()) return;
    std::sort(repeated.begin(), repeated.end());
    std::size_t next = 0;
    std::size_t to = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (next < repeated.size() && repeated[next] == i) {
        ++next;
        continue;
      }
      if (to != i) all[to] = std::move(all[i]);
      ++to;
    }
    all.resize(to);
  }

  json array(int depth) {
    json made = json::array();
    ++at_;
    skip_space();
    if (take(']')) return made;
    do {
      made.push_back(any(depth + 1));
      skip_space();
    } while (take(','));
    if (!take(']')) fail("a comma or ] is expected");
    return made;
  }

  std::size_t digits() {
    std::size_t count = 0;
    while (peek() >= '0' && peek() <= '9') ++at_, ++count;
    return count;
  }

  json number() {
    const std::size_t from = at_;
    take('-');
    const bool has_zero = peek() == '0';
    const std::size_t whole = digits();
    if (whole == 0) fail("a value is expected");
    if (has_zero && whole > 1) fail("a number begins with 0");
    bool is_whole = true;
    if (take('.')) {
      is_whole = false;
      if (digits() == 0) fail("a digit is expected");
    }
    if (peek() == 'e' || peek() == 'E') {
      is_whole = false;
      ++at_;
      if (!take('+')) take('-');
      if (digits() == 0) fail("a digit is expected");
    }
    const char* begin = text_.data() + from;
    const char* end = text_.data() + at_;
    if (is_whole) {
      std::int64_t value = 0;
      if (std::from_chars(begin, end, value).ec == std::errc{}) return json(value);
    }
    double value = 0;
    if (std::from_chars(begin, end, value).ec != std::errc{}) fail("a number is too large or too small");
    return json(value);
  }

  unsigned hex4() {
    unsigned value = 0;
    if (at_ + 4 > text_.size()) fail("four hexadecimal digits are expected");
    const auto [end, code] = std::from_chars(text_.data() + at_, text_.data() + at_ + 4, value, 16);
    if (code != std::errc{} || end != text_.data() + at_ + 4) fail("four hexadecimal digits are expected");
    at_ += 4;
    return value;
  }

  void escape(std::string& to) {
    const char c = peek();
    ++at_;
    switch (c) {
      case '"':
      case '\\':
      case '/':
        to += c;
        return;
      case 'b':
        to += '\b';
        return;
      case 'f':
        to += '\f';
        return;
      case 'n':
        to += '\n';
        return;
      case 'r':
        to += '\r';
        return;
      case 't':
        to += '\t';
        return;
      case 'u': {
        unsigned point = hex4();
        if (point >= 0xdc00 && point <= 0xdfff) fail("half of a surrogate pair");
        if (point >= 0xd800 && point <= 0xdbff) {
          if (!take('\\') || !take('u')) fail("half of a surrogate pair");
          const unsigned low = hex4();
          if (low < 0xdc00 || low > 0xdfff) fail("half of a surrogate pair");
          point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        }
        put_point(point, to);
        return;
      }
      default:
        --at_;
        fail("no such escape");
    }
  }

  static void put_point(unsigned point, std::string& to) {
    const auto put = [&](unsigned byte) { to += static_cast<char>(static_cast<unsigned char>(byte)); };
    if (point < 0x80) return put(point);
    if (point < 0x800) return put(0xc0 | point >> 6), put(0x80 | (point & 0x3f));
    if (point < 0x10000)
      return put(0xe0 | point >> 12), put(0x80 | (point >> 6 & 0x3f)), put(0x80 | (point & 0x3f));
    put(0xf0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3f));
    put(0x80 | (point >> 6 & 0x3f));
    put(0x80 | (point & 0x3f));
  }

  std::string text() {
    std::string made;
    ++at_;
    while (!take('"')) {
      if (at_ >= text_.size()) fail("the text does not end");
      if (take('\\')) {
        escape(made);
      } else if (static_cast<unsigned char>(text_[at_]) < 0x20) {
        fail("a control character in a text");
      } else {
        made += text_[at_++];
      }
    }
    return made;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

inline json json::parse(std::string_view text) {
  return parser(text).whole();
}

}  // namespace sdk_v1

template <>
struct serde<json> {
  static void encode(const json& from, std::string& to) { from.write(to); }
  static json decode(std::string_view from) { return json::parse(from); }
};

}  // namespace millrace
