#include "processors/bundled/reader.h"

#include <cmath>

namespace millrace::bundled {

field_type parse_type(const settings& from, std::string_view key, std::string_view text) {
  if (text == "text") return field_type::text;
  if (text == "number") return field_type::number;
  if (text == "whole") return field_type::whole;
  if (text == "boolean") return field_type::boolean;
  from.refuse(key, "\"" + std::string(text) + "\" is no type; text, number, whole or boolean is expected");
}

json typed(std::string_view text, field_type type) {
  switch (type) {
    case field_type::text:
      return json(text);
    case field_type::number: {
      if (const auto whole = to_whole(text)) return json(*whole);
      const auto value = to_number(text);
      return value ? json(*value) : json();
    }
    case field_type::whole: {
      const auto value = to_whole(text);
      return value ? json(*value) : json();
    }
    case field_type::boolean:
      if (text == "true" || text == "1") return json(true);
      if (text == "false" || text == "0") return json(false);
      return {};
  }
  return {};
}

reader::reader(settings& from, const std::string& prefix)
    : is_csv_(from.choice(prefix + "format", {"json", "csv"}) == "csv") {
  const std::string columns_key = prefix + "columns";
  const std::string separator_key = prefix + "separator";
  const std::vector<std::string> columns = from.list(columns_key);
  const std::string separator = from.text(separator_key).value_or(",");
  if (!is_csv_) {
    for (const std::string& key : {columns_key, separator_key})
      if (from.text(key)) from.refuse(key, "it goes with " + prefix + "format = \"csv\"");
    return;
  }
  for (const std::string& text : columns) {
    const std::size_t colon = text.rfind(':');
    const std::string name(trimmed(text.substr(0, colon)));
    if (name.empty()) from.refuse(columns_key, "a column has no name");
    for (const column& known : columns_)
      if (known.name == name) from.refuse(columns_key, "there are two columns " + name);
    const field_type type =
        colon == std::string::npos
            ? field_type::text
            : parse_type(from, columns_key, trimmed(std::string_view(text).substr(colon + 1)));
    columns_.push_back({name, type});
  }
  if (columns_.empty())
    from.refuse(columns_key, "with " + prefix +
                                 "format = \"csv\" the names of the columns are expected: \"road, "
                                 "speed:number\"");
  if (separator != "tab" && (separator.size() != 1 || separator == "\"" || separator == "\n"))
    from.refuse(separator_key, "one character or \"tab\" is expected");
  separator_ = separator == "tab" ? '\t' : separator[0];
}

json reader::read(const record& one) const {
  if (!one.value()) throw failure("the value is null");
  json made;
  try {
    made = is_csv_ ? read_csv(*one.value()) : json::parse(*one.value());
  } catch (const std::exception& e) {
    throw failure(std::string("the value is ") + e.what());
  }
  if (!made.is_object()) throw failure("the value is not a JSON object");
  return made;
}

json reader::read_csv(std::string_view line) const {
  if (!detail::is_utf8(line)) throw failure("not CSV: it is not UTF-8");
  const std::vector<std::string> cells = split_csv(line, separator_, columns_.size());
  if (cells.size() != columns_.size())
    throw failure("not such CSV: it has " + std::to_string(cells.size()) + " columns, and " +
                  std::to_string(columns_.size()) + " are expected");
  json made = json::object();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const column& c = columns_[i];
    if (c.type == field_type::text) {
      made[c.name] = json(cells[i]);
      continue;
    }
    const std::string_view cell = trimmed(cells[i]);
    json value = typed(cell, c.type);
    if (value.is_null() && !cell.empty())
      throw failure("not such CSV: column " + c.name + " is \"" + std::string(cell.substr(0, 100)) +
                    "\", and " +
                    (c.type == field_type::boolean ? "true or false"
                     : c.type == field_type::whole ? "a whole number"
                                                   : "a number") +
                    " is expected");
    made[c.name] = std::move(value);
  }
  return made;
}

std::vector<std::string> split_csv(std::string_view line, char separator, std::size_t cells_max) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  std::vector<std::string> cells(1);
  for (std::size_t i = 0; i < line.size();) {
    if (line[i] == separator) {
      if (cells.size() == cells_max)
        throw failure("not such CSV: it has more than the " + std::to_string(cells_max) +
                      " columns that are expected");
      cells.emplace_back();
      ++i;
    } else if (line[i] == '"' && cells.back().empty()) {
      for (++i;; ++i) {
        if (i >= line.size()) throw failure("not CSV: a quote is not closed");
        if (line[i] != '"') {
          cells.back() += line[i];
        } else if (i + 1 < line.size() && line[i + 1] == '"') {
          cells.back() += line[++i];
        } else {
          ++i;
          break;
        }
      }
      if (i < line.size() && line[i] != separator)
        throw failure("not CSV: there is something behind a closed quote");
    } else {
      cells.back() += line[i++];
    }
  }
  return cells;
}

const json& member_at(const json& object, const std::vector<std::string>& path) {
  static const json none;
  const json* at = &object;
  for (const std::string& name : path) {
    if (!at->is_object()) return none;
    at = &(*at)[std::string_view(name)];
  }
  return *at;
}

std::string plain_text(const json& value) {
  return value.is_text() ? value.text() : encode(value);
}

}  // namespace millrace::bundled
