#include "broker/config/key_spec.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/assert.h"

namespace millrace::broker {
namespace {

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_range(std::string_view valid) {
  return valid.find(",...") != std::string_view::npos;
}

std::string_view kafka_type(value_type type) {
  switch (type) {
    case value_type::int16:
      return "SHORT";
    case value_type::int32:
      return "INT";
    case value_type::int64:
      return "LONG";
    default:
      return "DOUBLE";
  }
}

// "[lo,...]", "[lo,...,hi]", each perhaps followed by " or <value>". The error says what would fit.
result<void> check_range(std::string_view valid, std::string_view text, double value) {
  std::string_view other;
  if (const size_t at = valid.find(" or "); at != std::string_view::npos) {
    other = valid.substr(at + 4);
    if (other == text) return {};
    valid = valid.substr(0, at);
  }
  MR_ASSERT(valid.size() > 2 && valid.front() == '[' && valid.back() == ']');
  valid = valid.substr(1, valid.size() - 2);
  const size_t dots = valid.find(",...");
  const std::string_view low = valid.substr(0, dots);
  const std::string_view high = valid.substr(std::min(valid.size(), dots + 5));
  const auto low_number = parse_number<double>(low);
  const auto high_number = parse_number<double>(high);
  MR_ASSERT(low_number.has_value() && high_number.has_value() != high.empty());
  const bool is_below = value < *low_number;
  if (!is_below && (high.empty() || value <= *high_number)) return {};
  if (!other.empty() && !high.empty())
    return fail(errc::invalid_config, "Value must be between {} and {} or equal to {}", low, high, other);
  if (!other.empty())
    return fail(errc::invalid_config, "Value must be at least {} or equal to {}", low, other);
  return is_below ? fail(errc::invalid_config, "Value must be at least {}", low)
                  : fail(errc::invalid_config, "Value must be no more than {}", high);
}

bool is_one_of(std::string_view valid, std::string_view value) {
  MR_ASSERT(valid.size() > 2 && valid.front() == '[' && valid.back() == ']');
  for (const std::string_view word : split_list(valid.substr(1, valid.size() - 2))) {
    if (word == value) return true;
  }
  return false;
}

template <class T>
result<std::string> check_integer(const key_spec& spec, std::string_view value) {
  const auto number = parse_number<int64_t>(value);
  if (!number || *number < std::numeric_limits<T>::min() || *number > std::numeric_limits<T>::max()) {
    return fail(errc::invalid_config, "Not a number of type {}", kafka_type(spec.type));
  }
  if (!spec.valid.empty()) MR_TRY(check_range(spec.valid, value, static_cast<double>(*number)));
  return std::to_string(*number);
}

result<std::string> check_boolean(std::string_view value) {
  std::string lower(value);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (lower != "true" && lower != "false")
    return fail(errc::invalid_config, "Expected value to be either true or false");
  return lower;
}

result<std::string> check_number(const key_spec& spec, std::string_view value) {
  const auto number = parse_number<double>(value);
  if (!number || !std::isfinite(*number))
    return fail(errc::invalid_config, "Not a number of type {}", kafka_type(spec.type));
  if (!spec.valid.empty()) MR_TRY(check_range(spec.valid, value, *number));
  return std::string(value);
}

std::unexpected<error> not_one_of(std::string_view valid) {
  return fail(errc::invalid_config, "String must be one of: {}", valid.substr(1, valid.size() - 2));
}

result<std::string> check_words(const key_spec& spec, std::string_view value) {
  if (spec.valid.empty() || spec.valid.front() != '[' || is_range(spec.valid)) return std::string(value);
  if (spec.type != value_type::list) {
    if (!is_one_of(spec.valid, value)) return not_one_of(spec.valid);
    return std::string(value);
  }
  for (const std::string_view element : split_list(value)) {
    if (!is_one_of(spec.valid, element)) return not_one_of(spec.valid);
  }
  return std::string(value);
}

// Levenshtein distance, one row at a time.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string_view type_name(value_type type) noexcept {
  switch (type) {
    case value_type::boolean:
      return "boolean";
    case value_type::text:
      return "string";
    case value_type::int32:
      return "int";
    case value_type::int16:
      return "short";
    case value_type::int64:
      return "long";
    case value_type::float64:
      return "double";
    case value_type::list:
      return "list";
    case value_type::class_name:
      return "class";
    case value_type::password:
      return "password";
  }
  return "unknown";
}

result<std::string> check_value(const key_spec& spec, std::string_view value) {
  value = trim(value);
  switch (spec.type) {
    case value_type::boolean:
      return check_boolean(value);
    case value_type::int16:
      return check_integer<int16_t>(spec, value);
    case value_type::int32:
      return check_integer<int32_t>(spec, value);
    case value_type::int64:
      return check_integer<int64_t>(spec, value);
    case value_type::float64:
      return check_number(spec, value);
    case value_type::text:
    case value_type::list:
    case value_type::class_name:
    case value_type::password:
      return check_words(spec, value);
  }
  return fail(errc::invalid_config, "a type that is not known");
}

bool to_boolean(std::string_view value) {
  return value == "true";
}

int64_t to_integer(std::string_view value) {
  const auto number = parse_number<int64_t>(value);
  MR_ASSERT(number.has_value());
  return *number;
}

double to_number(std::string_view value) {
  const auto number = parse_number<double>(value);
  MR_ASSERT(number.has_value());
  return *number;
}

std::string_view trim(std::string_view text) noexcept {
  constexpr std::string_view blanks = " \t\r\n";
  const size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::vector<std::string_view> split_list(std::string_view value) {
  std::vector<std::string_view> elements;
  while (!value.empty()) {
    const size_t comma = value.find(',');
    if (const std::string_view element = trim(value.substr(0, comma)); !element.empty())
      elements.push_back(element);
    if (comma == std::string_view::npos) break;
    value.remove_prefix(comma + 1);
  }
  return elements;
}

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates) {
  // A hostile or pasted key may be of any length; no key is near to such a one.
  if (name.size() > 128) return {};
  std::string_view best;
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    const size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace millrace::broker
