#include "tools/text/record_filter.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <re2/re2.h>
#include <utility>

#include "tools/text/number.h"

namespace millrace::tools {

namespace {

using json = nlohmann::json;

constexpr std::string_view name_ends = ".[=!~<>";

std::optional<double> to_double(std::string_view text) {
  double number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::unexpected<error> unreadable(std::string_view expression, std::string_view why) {
  return fail(
      errc::invalid_argument,
      "'{}' is no filter: {}; write key, value, header:NAME or a JSON path (value.user.id), then one of "
      "= != ~ !~ < <= > >= and a text",
      expression, why);
}

std::string_view take_until(std::string_view& rest, std::string_view ends) {
  const size_t at = std::min(rest.find_first_of(ends), rest.size());
  const std::string_view taken = rest.substr(0, at);
  rest.remove_prefix(at);
  return taken;
}

bool take(std::string_view& rest, std::string_view word) {
  if (!rest.starts_with(word)) return false;
  rest.remove_prefix(word.size());
  return true;
}

}  // namespace

// What a condition looks at, in one record.
struct record_filter::operand {
  std::optional<std::string> text;  // nothing: it is not there
  std::optional<double> number;
};

record_filter::record_filter() = default;
record_filter::record_filter(record_filter&&) noexcept = default;
record_filter& record_filter::operator=(record_filter&&) noexcept = default;
record_filter::~record_filter() = default;

result<record_filter> record_filter::parse(const std::vector<std::string>& expressions) {
  record_filter all;
  for (const std::string& expression : expressions) {
    auto one = parse_one(expression);
    if (!one) return fail(one.error());
    all.conditions_.push_back(*std::move(one));
  }
  return all;
}

result<record_filter::condition> record_filter::parse_one(std::string_view expression) {
  condition c;
  std::string_view rest = expression;
  if (take(rest, "header:")) {
    c.of = part::header;
    c.header = take_until(rest, name_ends.substr(2));  // dots and brackets belong to the name
    if (c.header.empty()) return unreadable(expression, "the header has no name");
  } else if (take(rest, "key")) {
    c.of = part::key;
  } else if (!take(rest, "value") && !take(rest, "$")) {
    return unreadable(expression, "it begins with none of these");
  }
  MR_TRY(parse_path(expression, rest, c));
  if (rest.empty()) return c;

  constexpr std::array<std::pair<std::string_view, relation>, 8> operators{{{"!=", relation::unequal},
                                                                            {"!~", relation::mismatch},
                                                                            {"<=", relation::less_equal},
                                                                            {">=", relation::more_equal},
                                                                            {"=", relation::equal},
                                                                            {"~", relation::match},
                                                                            {"<", relation::less},
                                                                            {">", relation::more}}};
  const auto* const found =
      std::ranges::find_if(operators, [&](const auto& each) { return rest.starts_with(each.first); });
  if (found == operators.end()) return unreadable(expression, fmt::format("'{}' is no comparison", rest));
  c.is = found->second;
  c.text = rest.substr(found->first.size());
  if (c.is == relation::match || c.is == relation::mismatch) {
    RE2::Options options;
    options.set_log_errors(false);
    auto pattern = std::make_shared<const RE2>(c.text, options);
    if (!pattern->ok())
      return fail(errc::invalid_argument, "'{}' is no regular expression: {}", c.text, pattern->error());
    c.pattern = std::move(pattern);
  }
  const auto number = to_double(c.text);
  if (number) c.number = *number;
  if (c.is >= relation::less && !number)
    return unreadable(expression, fmt::format("'{}' is no number", c.text));
  return c;
}

result<void> record_filter::parse_path(std::string_view expression, std::string_view& rest, condition& into) {
  if (into.of == part::header) return {};
  while (!rest.empty()) {
    if (take(rest, ".")) {
      const std::string_view name = take_until(rest, name_ends);
      if (name.empty()) return unreadable(expression, "a dot has no name behind it");
      into.path.emplace_back(std::string(name));
    } else if (take(rest, "['")) {
      const size_t end = rest.find("']");
      if (end == std::string_view::npos) return unreadable(expression, "a bracket is not closed");
      into.path.emplace_back(std::string(rest.substr(0, end)));
      rest.remove_prefix(end + 2);
    } else if (take(rest, "[")) {
      const auto index = to_number(take_until(rest, "]"));
      if (!index || *index < 0 || !take(rest, "]"))
        return unreadable(expression, "a bracket holds no number of an element");
      into.path.emplace_back(static_cast<size_t>(*index));
    } else {
      return {};
    }
  }
  return {};
}

bool record_filter::matches(const record_view& record) const {
  // Parsed once a record, however many conditions look inside.
  std::optional<json> parsed_key;
  std::optional<json> parsed_value;
  const auto inside = [](std::optional<json>& parsed, std::optional<std::string_view> bytes,
                         const std::vector<step>& path) {
    operand found;
    if (!bytes) return found;
    if (!parsed) parsed = json::parse(*bytes, nullptr, /*allow_exceptions=*/false);
    const json* at = &*parsed;
    for (const step& s : path) {
      if (const auto* name = std::get_if<std::string>(&s)) {
        const auto member = at->is_object() ? at->find(*name) : at->end();
        if (!at->is_object() || member == at->end()) return found;
        at = &*member;
      } else {
        const size_t index = std::get<size_t>(s);
        if (!at->is_array() || index >= at->size()) return found;
        at = &(*at)[index];
      }
    }
    found.text = at->is_string() ? at->get_ref<const std::string&>()
                                 : at->dump(-1, ' ', false, json::error_handler_t::replace);
    if (at->is_number()) found.number = at->get<double>();
    return found;
  };
  const auto whole = [](std::optional<std::string_view> bytes) {
    operand found;
    if (bytes) found = {std::string(*bytes), to_double(*bytes)};
    return found;
  };
  return std::ranges::all_of(conditions_, [&](const condition& c) {
    if (c.of == part::header) {
      const auto at = std::ranges::find(record.headers, c.header, &header_view::name);
      // A header without a value is there all the same.
      return holds(c, at == record.headers.end() ? operand() : whole(at->value.value_or("")));
    }
    const auto& bytes = c.of == part::key ? record.key : record.value;
    if (c.path.empty()) return holds(c, whole(bytes));
    return holds(c, inside(c.of == part::key ? parsed_key : parsed_value, bytes, c.path));
  });
}

bool record_filter::holds(const condition& c, const operand& found) {
  const auto is_equal = [&] {
    // 1.0 is 1; but whole numbers beyond a double's precision are compared as they are written.
    if (*found.text == c.text) return true;
    const auto wanted = to_double(c.text);
    const bool are_whole = to_number(*found.text).has_value() && to_number(c.text).has_value();
    return found.number && wanted && !c.path.empty() && !are_whole && *found.number == *wanted;
  };
  const auto is_match = [&] { return RE2::PartialMatch(*found.text, *c.pattern); };
  switch (c.is) {
    case relation::exists:
      return found.text.has_value();
    case relation::equal:
      return found.text && is_equal();
    case relation::unequal:
      return !found.text || !is_equal();
    case relation::match:
      return found.text && is_match();
    case relation::mismatch:
      return !found.text || !is_match();
    case relation::less:
      return found.number && *found.number < c.number;
    case relation::less_equal:
      return found.number && *found.number <= c.number;
    case relation::more:
      return found.number && *found.number > c.number;
    case relation::more_equal:
      return found.number && *found.number >= c.number;
  }
  return false;
}

}  // namespace millrace::tools
