#include "tools/kafka/configs.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>

#include "protocol/generated/describe_configs_request.h"
#include "protocol/generated/describe_configs_response.h"
#include "protocol/generated/incremental_alter_configs_request.h"
#include "protocol/generated/incremental_alter_configs_response.h"
#include "protocol/generated/list_config_resources_request.h"
#include "protocol/generated/list_config_resources_response.h"
#include "tools/kafka/brokers.h"
#include "tools/kafka/errors.h"
#include "tools/kafka/topics.h"

namespace millrace::tools {

namespace {

constexpr std::string_view all_brokers = "brokers";

struct named_type {
  std::string_view prefix;
  resource_type type;
};
constexpr std::array named_types = {
    named_type{"topic:", resource_type::topic},
    named_type{"broker:", resource_type::broker},
    named_type{"group:", resource_type::group},
    named_type{"client-metrics:", resource_type::client_metrics},
};

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view source_name(int8_t source) {
  switch (source) {
    case 1:
      return "topic";
    case 2:
      return "broker";
    case 3:
      return "all brokers";
    case 4:
      return "file";
    case 5:
      return "default";
    case 7:
      return "client metrics";
    case 8:
      return "group";
    default:
      return "unknown";
  }
}

// Whether a value of that source was set on the resource itself.
bool is_own(const resource& of, int8_t source) {
  switch (of.type) {
    case resource_type::topic:
      return source == 1;
    case resource_type::broker:
      return source == (of.name.empty() ? 3 : 2);
    case resource_type::client_metrics:
      return source == 7;
    case resource_type::group:
      return source == 8;
  }
  return false;
}

// What concerns one broker is that broker's to answer.
result<wire> open_for(handle& client, const resource& of) {
  int32_t id = -1;
  if (of.type == resource_type::broker && !of.name.empty())
    std::from_chars(of.name.data(), of.name.data() + of.name.size(), id);
  return open_broker(client, id);
}

error answer_error(handle& client, int16_t code, const resource& of, std::string_view verb,
                   const std::optional<std::string>& message) {
  if (of.type == resource_type::topic && code == kafka_code(errc::unknown_topic_or_partition)) {
    // With the nearest name there is.
    if (const auto found = find_topic(client, of.name); !found) return found.error();
  }
  return broker_error(static_cast<rd_kafka_resp_err_t>(code), fmt::format("{} {}", verb, of.to_string()),
                      message.value_or(""));
}

}  // namespace

std::string resource::to_string() const {
  if (type == resource_type::broker && name.empty()) return std::string(all_brokers);
  const auto found = std::ranges::find(named_types, type, &named_type::type);
  return fmt::format("{}{}", found->prefix, name);
}

result<resource> parse_resource(std::string_view text) {
  if (text == all_brokers) return resource{resource_type::broker, ""};
  for (const named_type& t : named_types) {
    if (!text.starts_with(t.prefix)) continue;
    const std::string_view name = text.substr(t.prefix.size());
    if (name.empty() || (t.type == resource_type::broker && !is_number(name))) break;
    return resource{t.type, std::string(name)};
  }
  return fail(
      errc::invalid_argument,
      "'{}' is no resource: topic:NAME, group:NAME, broker:ID, brokers or client-metrics:NAME is wanted",
      text);
}

result<std::vector<described_config>> describe_configs(handle& client, const resource& of,
                                                       const std::vector<std::string>& keys) {
  auto broker = open_for(client, of);
  if (!broker) return fail(broker.error());
  const int16_t version = broker->can(protocol::api_key::describe_configs, 4) ? 4 : 1;
  protocol::describe_configs_request request;
  request.include_documentation = version >= 3;
  auto& asked = request.resources.emplace_back();
  asked.resource_type = static_cast<int8_t>(of.type);
  asked.resource_name = of.name;
  asked.configuration_keys = std::nullopt;  // all
  if (!keys.empty()) asked.configuration_keys.emplace(keys.begin(), keys.end());
  const auto answer = broker->ask<protocol::describe_configs_response>(request, version);
  if (!answer) return fail(answer.error());
  if (answer->results.size() != 1) return fail(errc::unknown_server_error, "the answer is empty");
  const auto& found = answer->results.front();
  if (found.error_code != 0)
    return fail(answer_error(client, found.error_code, of, "read the configuration of", found.error_message));
  std::vector<described_config> configs;
  for (const auto& c : found.configs) {
    configs.push_back({.name = c.name,
                       .value = c.value,
                       .source = std::string(source_name(c.config_source)),
                       .is_own = is_own(of, c.config_source),
                       .is_read_only = c.read_only,
                       .documentation = c.documentation.value_or("")});
  }
  std::ranges::sort(configs, {}, &described_config::name);
  return configs;
}

result<void> alter_configs(handle& client, const resource& of, const std::vector<config_change>& changes,
                           bool only_check) {
  auto broker = open_for(client, of);
  if (!broker) return fail(broker.error());
  const int16_t version = broker->can(protocol::api_key::incremental_alter_configs, 1) ? 1 : 0;
  if (!broker->can(protocol::api_key::incremental_alter_configs, version))
    return fail(errc::unsupported_version,
                "the broker cannot change single values (it is older than Kafka 2.3)");
  protocol::incremental_alter_configs_request request;
  request.validate_only = only_check;
  auto& asked = request.resources.emplace_back();
  asked.resource_type = static_cast<int8_t>(of.type);
  asked.resource_name = of.name;
  for (const config_change& c : changes) {
    auto& change = asked.configs.emplace_back();
    change.name = c.name;
    change.config_operation = static_cast<int8_t>(c.what);
    if (c.what != config_change::kind::unset) change.value = c.value;
  }
  const auto answer = broker->ask<protocol::incremental_alter_configs_response>(request, version);
  if (!answer) return fail(answer.error());
  if (answer->responses.size() != 1) return fail(errc::unknown_server_error, "the answer is empty");
  const auto& done = answer->responses.front();
  if (done.error_code != 0)
    return fail(answer_error(client, done.error_code, of, "change the configuration of", done.error_message));
  return {};
}

result<std::vector<resource>> list_resources(handle& client) {
  auto broker = open_broker(client);
  if (!broker) return fail(broker.error());
  if (!broker->can(protocol::api_key::list_config_resources, 1))
    return fail(errc::unsupported_version,
                "the broker cannot list what has a configuration (it is older than Kafka 4.1)");
  protocol::list_config_resources_request request;
  for (const named_type& t : named_types) request.resource_types.push_back(static_cast<int8_t>(t.type));
  const auto answer = broker->ask<protocol::list_config_resources_response>(request, 1);
  if (!answer) return fail(answer.error());
  if (answer->error_code != 0)
    return fail(broker_error(static_cast<rd_kafka_resp_err_t>(answer->error_code), "list resources"));
  std::vector<resource> resources;
  for (const auto& r : answer->config_resources)
    resources.push_back({static_cast<resource_type>(r.resource_type), r.resource_name});
  std::ranges::sort(resources, {}, [](const resource& r) { return std::tuple(r.type, r.name); });
  return resources;
}

result<config_change> parse_change(std::string_view option, const std::string& text,
                                   config_change::kind what) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos)
    return fail(errc::invalid_argument, "{} wants key=value, not '{}'", option, text);
  return config_change{.name = text.substr(0, equals), .what = what, .value = text.substr(equals + 1)};
}

}  // namespace millrace::tools
