// 44 IncrementalAlterConfigs, v0-1. v1 flexible. Sets, removes, appends to and subtracts from single values;
// what is not named stays.
#include "broker/api/all.h"
#include "broker/api/alter_resources.h"
#include "protocol/generated/incremental_alter_configs_request.h"
#include "protocol/generated/incremental_alter_configs_response.h"

namespace millrace::broker {
namespace {

using protocol::incremental_alter_configs_request;
using protocol::incremental_alter_configs_response;

task<result<incremental_alter_configs_response>> handle(request_context& context,
                                                        incremental_alter_configs_request request) {
  std::vector<resource_alteration> wanted;
  for (const auto& asked : request.resources) {
    auto& w = wanted.emplace_back(
        resource_alteration{.type = asked.resource_type, .name = std::string(asked.resource_name)});
    for (const auto& c : asked.configs) {
      auto& change = w.changes.changes.emplace_back(config_change{.name = std::string(c.name)});
      change.op = static_cast<alter_op>(c.config_operation);
      if (c.value) change.value = std::string(*c.value);
    }
  }
  const std::vector<result<void>> done =
      co_await alter_resources(context, std::move(wanted), request.validate_only);
  incremental_alter_configs_response response;
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

}  // namespace

const api incremental_alter_configs_api = make_api<handle>(0, 1);

}  // namespace millrace::broker
