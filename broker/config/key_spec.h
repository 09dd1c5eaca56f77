// key_spec: what is known of one configuration key, and whether a value fits it.
//
// Every key is declared once, in a table: broker_keys.cc (keys with an effect here), idle_keys.cc (Kafka's
// other broker keys) and topic_keys.cc. The tables feed parsing, --help, error messages and DescribeConfigs.
// A key's valid values are written once, in the notation that Kafka's documentation uses; the same text is
// checked against and shown to people:
//
//   [1,...]            at least 1               [0,...,1]      from 0 to 1
//   [a, b]             one of these words (of a list: every element is one of them)
//   [1,...,9] or -1    a range, or one value outside it
//   ""                 anything of the type
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace::broker {

// The numbers are DescribeConfigs' type codes.
enum class value_type : int8_t {
  boolean = 1,
  text = 2,
  int32 = 3,
  int16 = 4,
  int64 = 5,
  float64 = 6,
  list = 7,
  class_name = 8,
  password = 9,
};

struct key_spec {
  std::string_view name;
  value_type type = value_type::text;
  std::optional<std::string_view> default_value;  // nothing: unset
  std::string_view valid;
  std::string_view doc;
  // For topic keys: the broker key whose value is the default.
  std::string_view broker_key;
};

std::string_view type_name(value_type type) noexcept;

// The value in its plain form (blanks trimmed, booleans in lower case), or what would fit, in Kafka's words.
result<std::string> check_value(const key_spec& spec, std::string_view value);

// Parsers for values that check_value let through.
bool to_boolean(std::string_view value);
int64_t to_integer(std::string_view value);
double to_number(std::string_view value);

// The elements of a comma-separated list, trimmed, empty ones left out.
std::vector<std::string_view> split_list(std::string_view value);
std::string_view trim(std::string_view text) noexcept;

// The name in `candidates` with the fewest edits to `name`; empty if none is near enough to be meant.
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace millrace::broker
