// report: what a load saw, for people and for programs.
#pragma once

#include <string>
#include <string_view>

#include "tools/bench/load.h"

namespace millrace::tools {

// One line of JSON. Latencies that were not measured are null. Sorts samples.
std::string load_as_json(std::string_view kind, const load_options& options, load_result& seen);
// A few lines; `head` says what was done.
std::string load_as_text(std::string_view head, const load_options& options, load_result& seen);

}  // namespace millrace::tools
