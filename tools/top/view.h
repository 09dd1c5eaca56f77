// view: a snapshot as text for a screen of some size, as text without bounds, and as JSON.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tools/top/reading.h"

namespace millrace::tools {

// How many lines each of several parts gets of `available`: what it wants if all fit, else a fair share,
// where what one does not need goes to the others.
std::vector<size_t> share_lines(size_t available, const std::vector<size_t>& wanted);

// `height` lines at most, each at most `width` columns wide, without newlines. `status` ends the first line.
// What does not fit is counted.
std::vector<std::string> as_screen(const snapshot& seen, std::string_view status, size_t width, size_t height,
                                   bool with_colour);
std::string as_text(const snapshot& seen);
// One line.
std::string as_json(const snapshot& seen);

}  // namespace millrace::tools
