#include "processors/bundled/cleaner.h"

#include <cmath>

namespace millrace::bundled {
namespace {

// 2^63: what is below it fits a whole number.
constexpr double whole_limit = 9223372036854775808.0;

json cast_to(const json& value, field_type type) {
  switch (type) {
    case field_type::text:
      return value.is_text() ? value : json(plain_text(value));
    case field_type::number:
      if (value.is_number()) return value;
      if (value.is_text()) return typed(trimmed(value.text()), type);
      if (value.is_bool()) return json(std::int64_t{value.truth() ? 1 : 0});
      return {};
    case field_type::whole: {
      if (value.is_whole()) return value;
      const json number = cast_to(value, field_type::number);
      if (number.is_null() || number.is_whole()) return number;
      const double rounded = std::round(number.number());
      if (rounded >= -whole_limit && rounded < whole_limit) return json(static_cast<std::int64_t>(rounded));
      return {};
    }
    case field_type::boolean:
      if (value.is_bool()) return value;
      if (value.is_text()) return typed(trimmed(value.text()), type);
      if (value.is_whole() && (value.whole() == 0 || value.whole() == 1)) return json(value.whole() == 1);
      return {};
  }
  return {};
}

// What a configuration means by a value: of that type, or a number, true or false if it is written as one.
json literal(const settings& from, const std::string& key, const std::string& text,
             const std::optional<field_type>& type) {
  if (type) {
    json value = typed(text, *type);
    if (value.is_null()) from.refuse(key, "it is not of the type that `cast` says");
    return value;
  }
  if (text == "true" || text == "false") return json(text == "true");
  json number = typed(text, field_type::number);
  return number.is_null() ? json(text) : number;
}

// The member, with what is on the way made where it is missing; null if something else is there.
json* reach(json& record, const std::vector<std::string>& path) {
  json* at = &record;
  for (const std::string& name : path) {
    if (!at->is_object() && !at->is_null()) return nullptr;
    at = &(*at)[std::string_view(name)];
  }
  return at;
}

}  // namespace

cleaner::cleaner(settings& from) {
  std::vector<std::pair<std::string, std::string>> defaults;  // by the name of their field
  for (const auto& [key, text] : from.table("fields")) {
    const std::size_t dot = key.rfind('.');
    const std::string what = dot == std::string::npos ? "" : key.substr(dot + 1);
    const std::string whole_key = "fields." + key;
    if (dot == 0 || dot == std::string::npos)
      from.refuse(whole_key, "a table of rules is expected: NAME.cast, NAME.default, ...");
    rule& into = rule_for(key.substr(0, dot));
    if (what == "default")
      defaults.emplace_back(into.name, text);
    else
      read(from, whole_key, into, what, text);
  }
  for (const auto& [name, text] : defaults) {
    rule& into = rule_for(name);
    into.otherwise = literal(from, "fields." + name + ".default", text, into.cast);
  }
  for (const rule& one : rules_) {
    const std::string key = "fields." + one.name;
    if (one.min && one.max && *one.min > *one.max) from.refuse(key + ".min", "it is above max");
    if (!one.min && !one.max && from.text(key + ".outside"))
      from.refuse(key + ".outside", "it goes with min or max");
    if (!one.otherwise.is_null() && from.text(key + ".missing"))
      from.refuse(key + ".missing", "with a default there are no missing fields");
  }
}

cleaner::rule& cleaner::rule_for(const std::string& name) {
  for (rule& one : rules_)
    if (one.name == name) return one;
  rule made;
  made.name = name;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t dot = std::min(name.find('.', at), name.size());
    made.path.push_back(name.substr(at, dot - at));
    at = dot + 1;
  }
  return rules_.emplace_back(std::move(made));
}

void cleaner::read(settings& from, const std::string& key, rule& into, const std::string& what,
                   const std::string& text) {
  const auto bound = [&](std::optional<double>& value, json& as_written) {
    value = from.number(key);
    as_written = typed(text, field_type::number);
  };
  if (what == "trim") {
    into.is_trimmed = from.truth(key, false);
  } else if (what == "cast") {
    into.cast = parse_type(from, key, text);
  } else if (what == "missing") {
    const std::string fate_name = from.choice(key, {"keep", "drop", "fail"});
    into.missing = fate_name == "keep" ? fate::keep : fate_name == "drop" ? fate::drop : fate::fail;
  } else if (what == "outside") {
    const std::string fate_name = from.choice(key, {"clamp", "drop", "fail"});
    into.outside = fate_name == "clamp" ? fate::clamp : fate_name == "drop" ? fate::drop : fate::fail;
  } else if (what == "min") {
    bound(into.min, into.min_value);
  } else if (what == "max") {
    bound(into.max, into.max_value);
  } else {
    from.refuse(
        key, "there is no rule \"" + what + "\"; there are cast, default, max, min, missing, outside, trim");
  }
}

bool cleaner::apply(json& record) const {
  for (const rule& one : rules_)
    if (!apply(one, record)) return false;
  return true;
}

bool cleaner::apply(const rule& one, json& record) const {
  json value = member_at(record, one.path);
  if (value.is_text() && one.is_trimmed) value = json(trimmed(value.text()));
  if (value.is_text() && (one.is_trimmed || one.cast) && trimmed(value.text()).empty()) value = json();
  if (one.cast && !value.is_null()) value = cast_to(value, *one.cast);
  const bool was_missing = value.is_null();
  if (was_missing) {
    if (one.missing == fate::drop) return false;
    if (one.missing == fate::fail) throw failure("field " + one.name + " is missing");
    value = one.otherwise;
  }
  if (value.is_number() &&
      ((one.min && value.number() < *one.min) || (one.max && value.number() > *one.max))) {
    if (one.outside == fate::drop) return false;
    const bool is_below = one.min && value.number() < *one.min;
    const json& bound = is_below ? one.min_value : one.max_value;
    if (one.outside == fate::fail)
      throw failure("field " + one.name + " is " + encode(value) + ", " + (is_below ? "less" : "more") +
                    " than " + encode(bound));
    value = bound;
  }
  if (value.is_null() && member_at(record, one.path).is_null()) return true;  // as it was, there or not
  json* const at = reach(record, one.path);
  if (!at) throw failure("field " + one.name + " cannot be set: something on the way to it is no object");
  *at = std::move(value);
  return true;
}

std::string cleaner::describe() const {
  std::string text;
  for (const rule& one : rules_) text += (text.empty() ? "" : ", ") + one.name;
  return text;
}

}  // namespace millrace::bundled
