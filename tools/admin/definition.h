// definition: a TOML file with one [[processor]].
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace millrace::tools {

// The processor, with all its keys: the broker says which of them are wrong.
result<nlohmann::json> read_definition(const std::string& path);

}  // namespace millrace::tools
