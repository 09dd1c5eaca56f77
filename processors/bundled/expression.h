// expression: what configurations say about records, such as `speed * 3.6` or `road == "A1" and speed > 30`.
//
// They are expressions of Lua 5.4 and mean what they mean there. A name is a member of the record, nil where
// there is none or it is null; `record["odd name"]` is one, too, `position.lat` a member of a member, and
// `items[1]` an element of an array. `meta.key`, `meta.timestamp` and `meta.offset` are those of the Kafka
// record. The functions are those of function_names(); nothing else of Lua's library is there, and no
// functions can be written, so an expression ends soon, whatever the record is: it has no loops.
//
// Whole numbers stay whole (64 bits), as in Lua and in JSON.
#pragma once

#include <cstdint>
#include <memory>
#include <millrace/json.h>
#include <millrace/processor.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processors/bundled/settings.h"

struct lua_State;

namespace millrace::bundled {

// What an expression is about: views of both.
struct row {
  const json& value;
  const record& from;
};

// Names that can be called, sorted.
std::vector<std::string> function_names();

class interpreter;

class expression {
 public:
  // Throws millrace::failure, with the reason, if the record makes no sense to it.
  json evaluate(const row& one) const;
  // A number, or nothing where it is missing; throws if it is something else.
  std::optional<double> number(const row& one) const;
  // Text as it is, numbers and booleans as JSON writes them; nothing where it is missing; throws for others.
  std::optional<std::string> key_text(const row& one) const;
  // True or false; missing is false; throws if it is something else.
  bool truth(const row& one) const;
  const std::string& text() const { return text_; }

 private:
  friend class interpreter;
  expression(std::shared_ptr<interpreter> in, std::string what, std::string text);
  [[noreturn]] void fail(const std::string& why) const;

  std::shared_ptr<interpreter> in_;
  std::string what_;  // the key of the configuration
  std::string text_;
  std::vector<std::string> path_;  // if it is nothing but the name of a field
  int function_ = 0;               // of Lua's registry, if it is more
};

// Runs the expressions of one instance of a processor; used by one thread at a time.
class interpreter : public std::enable_shared_from_this<interpreter> {
 public:
  static std::shared_ptr<interpreter> make();
  ~interpreter();
  interpreter(const interpreter&) = delete;
  interpreter& operator=(const interpreter&) = delete;

  // Throws via `from.refuse(key, ...)` if it is none.
  expression compile(const settings& from, std::string_view key, const std::string& text);

  // For the functions that Lua calls.
  const row* now() const { return now_; }
  std::size_t bytes = 0;

 private:
  friend class expression;
  interpreter();
  json run(int function, const row& one, std::string& why);

  lua_State* lua_ = nullptr;
  const row* now_ = nullptr;
};

}  // namespace millrace::bundled
