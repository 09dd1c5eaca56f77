// json_forms: what the broker knows of processors, in the form that docs/admin.md describes. Members are only
// ever added.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "broker/processing/control.h"

namespace millrace::broker::admin {

nlohmann::json json_of(const deploy_outcome& outcome);
nlohmann::json json_of(const processor_summary& summary);
nlohmann::json json_of(const processor_details& details);

// From a body that may be empty. errc::malformed, errc::invalid_config.
result<replay_request> replay_request_of(std::string_view text);

// One line. What is no UTF-8 (a processor may say anything) shows as U+FFFD.
std::string to_text(const nlohmann::json& value);

}  // namespace millrace::broker::admin
