// alter_resources: AlterConfigs and IncrementalAlterConfigs, which differ in this: only the latter names an
// operation for each value, and the former replaces all that a resource has.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "broker/api/api.h"
#include "broker/config/alter.h"
#include "protocol/generated/alter_configs_request.h"

namespace millrace::broker {

struct resource_alteration {
  int8_t type = 0;
  std::string name;
  config_changes changes;
};

// One result a resource, in order; each is changed, or not, for itself.
task<std::vector<result<void>>> alter_resources(request_context& context,
                                                std::vector<resource_alteration> wanted, bool validate_only);

// Handles either request.
template <class Request, class Response>
task<result<Response>> alter_as_asked(request_context& context, Request request) {
  std::vector<resource_alteration> wanted;
  for (const auto& asked : request.resources) {
    auto& w = wanted.emplace_back(
        resource_alteration{.type = asked.resource_type, .name = std::string(asked.resource_name)});
    w.changes.replaces_all = std::is_same_v<Request, protocol::alter_configs_request>;
    for (const auto& c : asked.configs) {
      auto& change = w.changes.changes.emplace_back(config_change{.name = std::string(c.name)});
      if constexpr (requires { c.config_operation; }) change.op = static_cast<alter_op>(c.config_operation);
      if (c.value) change.value = std::string(*c.value);
    }
  }
  const std::vector<result<void>> done =
      co_await alter_resources(context, std::move(wanted), request.validate_only);
  Response response;
  for (size_t i = 0; i < done.size(); ++i) {
    auto& out = response.responses.emplace_back();
    out.resource_type = request.resources[i].resource_type;
    out.resource_name = request.resources[i].resource_name;
    out.error_message = std::nullopt;
    if (done[i]) continue;
    out.error_code = kafka_code(done[i].error().code);
    out.error_message = done[i].error().message;
  }
  co_return response;
}

}  // namespace millrace::broker
