// processor_table: one [[processor]] table, from wherever it came.
#pragma once

#include <string_view>

#include "base/result.h"
#include "base/toml_file.h"
#include "broker/config/config.h"

namespace millrace::broker {

// `source` is for messages only: a file's name, or what else the table came with. What is missing is left
// empty.
result<processor_entry> read_processor(const toml::table& table, std::string_view source);
// Whether name, input and, if need be, library are there.
result<void> check_complete(const processor_entry& entry, bool needs_library);

}  // namespace millrace::broker
