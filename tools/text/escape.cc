#include "tools/text/escape.h"

namespace millrace::tools {

namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

result<std::string> unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    const char kind = i + 1 < text.size() ? text[i + 1] : '\0';
    ++i;
    switch (kind) {
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case '0':
        out += '\0';
        break;
      case '\\':
        out += '\\';
        break;
      case 'x': {
        const int high = i + 1 < text.size() ? hex_value(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
        if (high < 0 || low < 0)
          return fail(errc::invalid_argument, "'\\x' in '{}' wants two hex digits", text);
        out += static_cast<char>(high * 16 + low);
        i += 2;
        break;
      }
      default:
        return fail(errc::invalid_argument,
                    "unknown escape '\\{}' in '{}' (there are \\n \\r \\t \\0 \\\\ \\xHH)",
                    kind == '\0' ? ' ' : kind, text);
    }
  }
  return out;
}

}  // namespace millrace::tools
