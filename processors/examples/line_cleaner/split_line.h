// split_line: one line of separated text into its fields (RFC 4180 within the line).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

inline bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// Fills `fields`, reusing its strings. Returns null, or what is wrong with the line.
inline const char* split_line(std::string_view line, char separator, std::vector<std::string>& fields) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  std::size_t count = 0;
  std::size_t at = 0;
  for (;;) {
    if (fields.size() == count) fields.emplace_back();
    std::string& field = fields[count++];
    field.clear();

    while (at < line.size() && is_blank(line[at]) && line[at] != separator) ++at;
    if (at < line.size() && line[at] == '"') {
      for (++at;; ++at) {
        if (at == line.size()) return "unterminated quote";
        if (line[at] != '"') {
          field += line[at];
        } else if (at + 1 < line.size() && line[at + 1] == '"') {
          field += line[at++];
        } else {
          break;
        }
      }
      for (++at; at < line.size() && line[at] != separator; ++at)
        if (!is_blank(line[at])) return "text after a closing quote";
    } else {
      std::size_t end = line.find(separator, at);
      if (end == std::string_view::npos) end = line.size();
      field = line.substr(at, end - at);
      while (!field.empty() && is_blank(field.back())) field.pop_back();
      at = end;
    }

    if (at == line.size()) break;
    ++at;  // the separator
  }
  fields.resize(count);
  return nullptr;
}
