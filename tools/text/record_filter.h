// record_filter: which records to show, as users write it.
//
//   key~^user-            the key matches a regular expression (RE2, anywhere in it)
//   value=ok              the value is exactly this
//   header:trace!=abc     the header of that name (the first one) is another, or there is none
//   value.user.age>=18    a number inside a value that is JSON; also value.items[0].sku, value['odd.name']
//   $.user.name~^A        the same as value.user.name~^A
//   value.error           there is such a member; likewise key, value (not null), header:NAME
//
// Operators: = != ~ !~ < <= > >=. What is not there equals nothing, matches nothing and is neither more nor
// less than anything. A member of a JSON value is compared by its text if it is a string, else by its JSON.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "tools/text/record.h"

namespace re2 {
class RE2;
}

namespace millrace::tools {

class record_filter {
 public:
  // Every expression has to hold.
  static result<record_filter> parse(const std::vector<std::string>& expressions);
  record_filter();
  record_filter(record_filter&&) noexcept;
  record_filter& operator=(record_filter&&) noexcept;
  ~record_filter();

  bool matches(const record_view& record) const;

 private:
  enum class part { key, value, header };
  enum class relation { exists, equal, unequal, match, mismatch, less, less_equal, more, more_equal };
  // A member's name, or the number of an element.
  using step = std::variant<std::string, size_t>;
  struct condition {
    part of = part::value;
    std::string header;
    std::vector<step> path;
    relation is = relation::exists;
    std::string text;  // to compare with
    double number = 0;
    std::shared_ptr<const re2::RE2> pattern;
  };
  struct operand;

  static result<condition> parse_one(std::string_view expression);
  static result<void> parse_path(std::string_view expression, std::string_view& rest, condition& into);
  static bool holds(const condition& c, const operand& found);

  std::vector<condition> conditions_;
};

}  // namespace millrace::tools
