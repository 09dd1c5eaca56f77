// value: a tree of what a golden vector says, free of any JSON library, so that generated test code compiles
// fast.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/uuid.h"

namespace millrace::protocol::testing {

class value {
 public:
  // Parses JSON; aborts on nonsense, which only a broken test file can hold.
  static value parse_json(std::string_view text);

  bool is_null() const { return kind_ == kind::null; }
  bool has(const std::string& name) const { return fields_.contains(name); }
  const value& at(const std::string& name) const { return fields_.at(name); }
  const std::vector<value>& items() const { return items_; }

  // Binary data stands in base64, uuids in their own text form. Views point into this tree.
  void to(bool& out) const { out = integer_ != 0; }
  void to(int8_t& out) const { out = static_cast<int8_t>(integer_); }
  void to(int16_t& out) const { out = static_cast<int16_t>(integer_); }
  void to(uint16_t& out) const { out = static_cast<uint16_t>(integer_); }
  void to(int32_t& out) const { out = static_cast<int32_t>(integer_); }
  void to(uint32_t& out) const { out = static_cast<uint32_t>(integer_); }
  void to(int64_t& out) const { out = integer_; }
  void to(double& out) const { out = real_; }
  void to(uuid& out) const { out = uuid::parse(text_).value(); }
  void to(std::string& out) const { out = text_; }
  void to(std::string_view& out) const { out = text_; }
  void to(bytes_view& out) const { out = *bytes_; }
  void to(std::vector<std::byte>& out) const { out = *bytes_; }
  void to(iobuf& out) const { out = iobuf(slice::copy_of(*bytes_)); }

 private:
  enum class kind { null, scalar, list, map };
  friend struct value_parser;

  kind kind_ = kind::null;
  int64_t integer_ = 0;
  double real_ = 0;
  std::string text_;
  // text_ as base64, decoded; shared so that views survive copies of the tree.
  std::shared_ptr<std::vector<std::byte>> bytes_ = std::make_shared<std::vector<std::byte>>();
  std::vector<value> items_;
  std::map<std::string, value> fields_;
};

// The bytes of a hex string.
std::vector<std::byte> from_hex(std::string_view hex);
std::string to_hex(bytes_view bytes);

}  // namespace millrace::protocol::testing
