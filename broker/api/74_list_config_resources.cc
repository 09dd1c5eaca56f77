// 74 ListConfigResources, v0-1: what has a configuration of its own.
//
// v0 (once ListClientMetricsResources) means client metrics; v1 names types, and none means all of them.
#include <algorithm>
#include <array>

#include "broker/api/all.h"
#include "broker/config/dynamic.h"
#include "broker/shard_context.h"
#include "protocol/generated/list_config_resources_request.h"
#include "protocol/generated/list_config_resources_response.h"

namespace millrace::broker {
namespace {

using protocol::list_config_resources_request;
using protocol::list_config_resources_response;

constexpr std::array listable = {resource_type::topic, resource_type::broker, resource_type::broker_logger,
                                 resource_type::client_metrics, resource_type::group};

std::vector<std::string> names_of(const shard_context& shard, resource_type type) {
  std::vector<std::string> names;
  switch (type) {
    case resource_type::topic:
      for (const topic_ptr& t : shard.image()->topics()) names.push_back(t->name);
      break;
    case resource_type::broker:
    case resource_type::broker_logger:
      names.push_back(std::to_string(shard.config().node_id));
      break;
    case resource_type::client_metrics:
      for (const auto& [name, values] : shard.dynamic().client_metrics) names.push_back(name);
      break;
    case resource_type::group:
      for (const auto& [name, values] : shard.dynamic().groups) names.push_back(name);
      break;
  }
  return names;
}

task<result<list_config_resources_response>> handle(request_context& context,
                                                    list_config_resources_request request) {
  std::vector<int8_t> types(request.resource_types.begin(), request.resource_types.end());
  if (context.version() == 0) types = {static_cast<int8_t>(resource_type::client_metrics)};
  if (types.empty()) {
    for (const resource_type type : listable) types.push_back(static_cast<int8_t>(type));
  }
  std::ranges::sort(types);
  types.erase(std::ranges::unique(types).begin(), types.end());

  list_config_resources_response response;
  for (const int8_t type : types) {
    if (std::ranges::find(listable, static_cast<resource_type>(type)) == listable.end()) {
      response.error_code = kafka_code(errc::unsupported_version);
      response.config_resources.clear();
      break;
    }
    for (std::string& name : names_of(context.shard, static_cast<resource_type>(type)))
      response.config_resources.push_back({.resource_name = std::move(name), .resource_type = type});
  }
  co_return response;
}

}  // namespace

const api list_config_resources_api = make_api<handle>(0, 1);

}  // namespace millrace::broker
