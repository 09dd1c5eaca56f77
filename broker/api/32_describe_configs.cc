// 32 DescribeConfigs, v0-4.
//
// v1 sources and synonyms instead of "is default"; v3 types and documentation; v4 flexible. Resources: topics
// (2), this broker (4, by its id; "" = what was set at run time for all brokers), groups (32) and
// subscriptions to clients' metrics (16), whether there is one of that name or not. Names asked for that do
// not exist are left out, as by Kafka; an empty list of them means all keys.
#include <algorithm>
#include <charconv>

#include "broker/api/all.h"
#include "broker/api/config_entries.h"
#include "broker/config/dynamic.h"
#include "broker/shard_context.h"
#include "protocol/generated/describe_configs_request.h"
#include "protocol/generated/describe_configs_response.h"

namespace millrace::broker {
namespace {

using protocol::describe_configs_request;
using protocol::describe_configs_response;

const config_values& find_or_empty(const dynamic_configs::by_name& all, std::string_view name) {
  static const config_values none;
  const auto found = all.find(name);
  return found == all.end() ? none : found->second;
}

result<std::vector<config_entry>> entries_of(const shard_context& shard, int8_t type, std::string_view name) {
  switch (static_cast<resource_type>(type)) {
    case resource_type::topic: {
      if (const std::string fault = topic_name_fault(name); !fault.empty()) {
        return fail(errc::invalid_topic_exception, "{}", fault);
      }
      const topic* t = shard.image()->find(name);
      if (t == nullptr) return fail(errc::unknown_topic_or_partition);
      return describe_topic_config(t->overrides, shard.given());
    }
    case resource_type::broker:
      if (name.empty()) return describe_cluster_config(shard.dynamic().cluster);
      if (name != std::to_string(shard.config().node_id)) {
        return fail(errc::invalid_request,
                    "Unexpected broker id, expected {} or empty string, but received {}",
                    shard.config().node_id, name);
      }
      return describe_broker_config(shard.given());
    case resource_type::group:
      if (name.empty()) return fail(errc::invalid_request, "Group name must not be empty");
      return describe_group_config(find_or_empty(shard.dynamic().groups, name), shard.given());
    case resource_type::client_metrics:
      if (name.empty())
        return fail(errc::invalid_request, "Client metrics subscription name must not be empty");
      return describe_client_metrics_config(find_or_empty(shard.dynamic().client_metrics, name));
    case resource_type::broker_logger:
      return std::vector<config_entry>();
  }
  return fail(errc::invalid_request, "Unsupported resource type: {}", type);
}

bool is_asked(const describe_configs_request::describe_configs_resource& asked, std::string_view key) {
  return !asked.configuration_keys || asked.configuration_keys->empty() ||
         std::ranges::find(*asked.configuration_keys, key) != asked.configuration_keys->end();
}

describe_configs_response::describe_configs_resource_result answer(const config_entry& entry,
                                                                   const describe_configs_request& request) {
  describe_configs_response::describe_configs_resource_result out;
  out.name = entry.key->name;
  out.value = entry.value;
  out.read_only = entry.is_read_only;
  out.is_default = entry.source == config_source::built_in;
  out.config_source = static_cast<int8_t>(entry.source);
  out.is_sensitive = entry.is_sensitive;
  out.config_type = static_cast<int8_t>(entry.key->type);
  if (request.include_documentation) out.documentation = std::string(entry.key->doc);
  if (request.include_synonyms) {
    for (const config_entry::synonym& s : entry.synonyms) {
      out.synonyms.push_back({.name = s.name, .value = s.value, .source = static_cast<int8_t>(s.source)});
    }
  }
  return out;
}

task<result<describe_configs_response>> handle(request_context& context, describe_configs_request request) {
  describe_configs_response response;
  for (const auto& asked : request.resources) {
    auto& out = response.results.emplace_back();
    out.resource_type = asked.resource_type;
    out.resource_name = asked.resource_name;
    out.error_message = std::nullopt;
    const auto entries = entries_of(context.shard, asked.resource_type, asked.resource_name);
    if (!entries) {
      out.error_code = kafka_code(entries.error().code);
      out.error_message = entries.error().message;
      continue;
    }
    for (const config_entry& entry : *entries) {
      if (is_asked(asked, entry.key->name)) out.configs.push_back(answer(entry, request));
    }
  }
  co_return response;
}

}  // namespace

const api describe_configs_api = make_api<handle>(0, 4);

}  // namespace millrace::broker
