// reader: what a bundled processor makes of a record: a JSON object.
//
//   format = "json"                       the default: the value is a JSON object
//   format = "csv"                        the value is one line of CSV (RFC 4180), its columns the members
//   columns = "road, speed:number"        their names, each with a type:
//                                         text (the default), number, whole, boolean
//   separator = ";"                       one character, "," by default; "tab"
//
// An empty column of another type than text is missing, an empty text is one.
#pragma once

#include <millrace/json.h>
#include <millrace/processor.h>
#include <string>
#include <string_view>
#include <vector>

#include "processors/bundled/settings.h"

namespace millrace::bundled {

// A type that a field may have.
enum class field_type : std::uint8_t { text, number, whole, boolean };
// Throws via `from.refuse(key, ...)`.
field_type parse_type(const settings& from, std::string_view key, std::string_view text);
// A text as that type; null if it is none.
json typed(std::string_view text, field_type type);

class reader {
 public:
  // `prefix` stands before the names of the options: "table.".
  explicit reader(settings& from, const std::string& prefix = "");
  // Throws millrace::failure with the reason if the value is nothing of the kind.
  json read(const record& one) const;

 private:
  struct column {
    std::string name;
    field_type type;
  };
  json read_csv(std::string_view line) const;

  bool is_csv_;
  std::vector<column> columns_;
  char separator_ = ',';
};

// The columns of one line. Throws if quotes do not match, or there are more than that.
std::vector<std::string> split_csv(std::string_view line, char separator, std::size_t cells_max);

// The member at a path of names; null if there is none, or something on the way is no object.
const json& member_at(const json& object, const std::vector<std::string>& path);
// For people and keys of records: a text as it is, anything else as JSON.
std::string plain_text(const json& value);

}  // namespace millrace::bundled
