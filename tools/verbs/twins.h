// The verbs about what runs beside a processor: its past once more, and its next version.
#pragma once

#include "tools/cli/verb.h"

namespace millrace::tools {

void add_processor_replay(CLI::App& processor, context& ctx);
void add_processor_diff(CLI::App& processor, context& ctx);

}  // namespace millrace::tools
