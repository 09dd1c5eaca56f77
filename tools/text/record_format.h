// record_format: a record printed after a pattern in kcat's manner.
//
//   %k key   %s value   %h headers (name=value,…)   %t topic   %p partition   %o offset   %T timestamp (ms)
//   %K and %S: length of key and value, -1 for null   %R value length as 4 bytes, big endian   %% a percent
//   sign
//
// Keys and values are written as they are; null as nothing. Escapes (\n, \t, \xHH) are replaced.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tools/text/record.h"

namespace millrace::tools {

class record_format {
 public:
  static result<record_format> parse(std::string_view pattern);
  void append(std::string& out, const record_view& record) const;

 private:
  // Literal text, then a field ('\0': none).
  struct piece {
    std::string literal;
    char field = '\0';
  };
  std::vector<piece> pieces_;
};

}  // namespace millrace::tools
