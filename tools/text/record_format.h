// record_format: a record printed after a pattern in kcat's manner.
//
//   %k key   %s value   %h headers (name=value,…)   %t topic   %p partition   %o offset   %T timestamp (ms)
//   %K and %S: length of key and value, -1 for null   %R value length as 4 bytes, big endian   %% a percent
//   sign
//
// Keys, values and header values are written as they are, or as the rendering says; null as nothing. Escapes
// (\n, \t, \xHH) are replaced.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tools/text/record.h"

namespace millrace::tools {

enum class rendering {
  raw,    // the bytes
  hex,    // two digits a byte
  either  // the bytes if they are UTF-8 without control characters but tab and newline, else 0x and hex
};

class record_format {
 public:
  static result<record_format> parse(std::string_view pattern, rendering bytes_as = rendering::raw);
  void append(std::string& out, const record_view& record) const;

 private:
  // Literal text, then a field ('\0': none).
  struct piece {
    std::string literal;
    char field = '\0';
  };
  std::vector<piece> pieces_;
  rendering bytes_as_ = rendering::raw;
};

}  // namespace millrace::tools
