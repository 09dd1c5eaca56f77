// line_cleaner: turns lines of separated text into JSON, and sets aside the lines that are not what they
// should be.
//
//   input      one line a record:        2026-01-05T12:00:00Z, station-17, 21.50, , ok
//   clean      one JSON object a record:
//   {"time":"2026-01-05T12:00:00Z","station":"station-17","celsius":21.50,...} rejected   the record as it
//   came, with the headers reject.reason and, if one is to blame, reject.column
//
// Options
//   columns    required: "time:text, station:text, celsius:number, humidity:number?, status:text"
//              number: what JSON calls a number; text: UTF-8; a question mark: may be empty (null in JSON)
//   separator  one character, a comma unless said otherwise
//
// Blanks around a field are dropped. A field in double quotes may hold separators and blanks, and a double
// quote written twice (RFC 4180). A carriage return at the end of the line is ignored. Keys, headers and
// timestamps are kept.
#include <millrace/processor.h>
#include <string>
#include <string_view>
#include <vector>

#include "json_text.h"
#include "split_line.h"

class line_cleaner {
 public:
  explicit line_cleaner(const millrace::setup& setup)
      : clean_(setup.output("clean")), rejected_(setup.output("rejected")) {
    const std::string_view separator = setup.option("separator", ",");
    if (separator.size() != 1 || separator == "\"")
      throw millrace::failure("separator must be one character, not a quote");
    separator_ = separator[0];
    read_columns(setup.option("columns", ""));
  }

  void process(const millrace::record& record, millrace::context& context) {
    const std::string_view column = clean(record.value());
    if (problem_.empty()) {
      context.emit(clean_, millrace::emission(record).value(json_));
      return;
    }
    millrace::emission rejected(record);
    rejected.header("reject.reason", problem_);
    if (!column.empty()) rejected.header("reject.column", column);
    context.emit(rejected_, rejected);
  }

 private:
  struct column {
    std::string name;
    bool is_number;
    bool may_be_empty;
  };

  // Leaves the object in json_, or says in problem_ why there is none and returns the column to blame.
  std::string_view clean(const millrace::maybe_bytes& line) {
    json_ = "{";
    problem_ = "";
    if (!line) return blame("null value");
    if (!is_utf8(*line)) return blame("not UTF-8");
    if (const char* what = split_line(*line, separator_, fields_)) return blame(what);
    if (fields_.size() != columns_.size()) return blame("wrong number of fields");
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const column& c = columns_[i];
      const std::string& field = fields_[i];
      if (i > 0) json_ += ',';
      append_json_string(json_, c.name);
      json_ += ':';
      if (field.empty()) {
        if (!c.may_be_empty) return blame("empty", c.name);
        json_ += "null";
      } else if (!c.is_number) {
        append_json_string(json_, field);
      } else if (is_json_number(field)) {
        json_ += field;
      } else {
        return blame("not a number", c.name);
      }
    }
    json_ += '}';
    return {};
  }

  std::string_view blame(const char* problem, std::string_view column = {}) {
    problem_ = problem;
    return column;
  }

  void read_columns(std::string_view text) {
    if (const char* what = split_line(text, ',', fields_))
      throw millrace::failure(std::string("columns: ") + what);
    for (const std::string& field : fields_) {
      const std::size_t colon = field.find(':');
      std::string type = colon == std::string::npos ? "" : field.substr(colon + 1);
      const bool may_be_empty = !type.empty() && type.back() == '?';
      if (may_be_empty) type.pop_back();
      if (colon == 0 || (type != "text" && type != "number"))
        throw millrace::failure("columns: \"" + field + "\" is not name:text or name:number");
      columns_.push_back({field.substr(0, colon), type == "number", may_be_empty});
    }
  }

  millrace::output clean_;
  millrace::output rejected_;
  char separator_ = ',';
  std::vector<column> columns_;
  std::vector<std::string> fields_;  // kept between records for their memory
  std::string json_;
  std::string_view problem_;
};

MILLRACE_PROCESSOR(line_cleaner, millrace::define("line-cleaner", "1.0")
                                     .output("clean")
                                     .output("rejected")
                                     .reads_headers()
                                     .deterministic())
