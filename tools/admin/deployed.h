// deployed: what verbs that deploy something have in common.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tools/cli/verb.h"

namespace millrace::tools {

// "NAME=VALUE" into object[NAME]. errc::invalid_argument, with the flag they were given with.
result<void> add_pairs(nlohmann::json& object, const std::vector<std::string>& pairs, std::string_view flag);

// Tells the broker's answer to a deployment: "<verb> NAME: code version (hash).", and its notes.
result<exit_code> tell_deployed(context& ctx, const std::string& answer, std::string_view verb);

}  // namespace millrace::tools
