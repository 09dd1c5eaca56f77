// escape: the backslash escapes that flags and format strings accept.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::tools {

// Replaces \n \r \t \\ \0 and \xHH. invalid_argument on any other escape.
result<std::string> unescape(std::string_view text);

}  // namespace millrace::tools
