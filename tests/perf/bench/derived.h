// derived: loads that are measured by what a processor, or a Kafka Streams application, makes of them.
#pragma once

#include <cstdint>
#include <string_view>

#include "tools/bench/load.h"

namespace millrace::perf {

// Whether the mapping processor of the benchmarks (tests/perf/streams) passes a value on.
bool passes(std::string_view value, int64_t temp_min);

// Sends as run_produce() does while reading `derived`, until all that follows from the records has come:
// those for which `fits` holds. The time is from the first record sent to the last derived one read.
result<tools::load_result> run_derive(const tools::load_options& options);

}  // namespace millrace::perf
