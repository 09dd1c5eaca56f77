// config_changes: what `config set`, `config unset` and `topic alter` do alike.
#pragma once

#include <vector>

#include "tools/cli/verb.h"
#include "tools/kafka/configs.h"

namespace millrace::tools {

// Makes the same changes to each resource and tells how that went.
result<exit_code> change_configs(context& ctx, const std::vector<resource>& of,
                                 const std::vector<config_change>& changes, bool dry_run);

}  // namespace millrace::tools
