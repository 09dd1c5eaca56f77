// 33 AlterConfigs, v0-2. v2 flexible. Gives each resource exactly the values named: what it has and is not
// named goes back to its default. Deprecated, but sarama, kafkajs, kafka-python and older tools send it.
#include "broker/api/all.h"
#include "broker/api/alter_resources.h"
#include "protocol/generated/alter_configs_request.h"
#include "protocol/generated/alter_configs_response.h"

namespace millrace::broker {
namespace {

using protocol::alter_configs_request;
using protocol::alter_configs_response;

task<result<alter_configs_response>> handle(request_context& context, alter_configs_request request) {
  std::vector<resource_alteration> wanted;
  for (const auto& asked : request.resources) {
    auto& w = wanted.emplace_back(
        resource_alteration{.type = asked.resource_type, .name = std::string(asked.resource_name)});
    w.changes.replaces_all = true;
    for (const auto& c : asked.configs) {
      auto& change = w.changes.changes.emplace_back(config_change{.name = std::string(c.name)});
      if (c.value) change.value = std::string(*c.value);
    }
  }
  const std::vector<result<void>> done =
      co_await alter_resources(context, std::move(wanted), request.validate_only);
  alter_configs_response response;
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

const api alter_configs_api = make_api<handle>(0, 2);

}  // namespace millrace::broker
