#include "broker/api/alter_resources.h"

#include <charconv>
#include <map>
#include <utility>

#include "broker/config/dynamic.h"
#include "broker/metadata/config_registry.h"
#include "broker/metadata/topic_registry.h"
#include "broker/processing/processing.h"
#include "broker/shard_context.h"
#include "runtime/shards.h"

namespace millrace::broker {
namespace {

result<void> check_broker_name(std::string_view name, int32_t node_id) {
  if (name.empty() || name == std::to_string(node_id)) return {};
  int32_t other = 0;
  const auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), other);
  if (code != std::errc() || end != name.data() + name.size())
    return fail(errc::invalid_request, "Node id must be an integer, but it is: {}", name);
  return fail(errc::invalid_request, "Unexpected broker id, expected {} or empty string, but received {}",
              node_id, name);
}

result<void> check(const resource_alteration& wanted, const shard_context& shard) {
  MR_TRY(check_form(wanted.changes.changes));
  switch (static_cast<resource_type>(wanted.type)) {
    case resource_type::topic:
      if (const std::string fault = topic_name_fault(wanted.name); !fault.empty())
        return fail(errc::invalid_topic_exception, "{}", fault);
      if (shard.image()->find(wanted.name) == nullptr)
        return fail(errc::unknown_topic_or_partition, "The topic '{}' does not exist.", wanted.name);
      if (const auto why = shard.whole().processors->refusal_of_changes(shard.id(), wanted.name))
        return fail(errc::policy_violation, "{}", *why);
      return {};
    case resource_type::broker:
      return check_broker_name(wanted.name, shard.config().node_id);
    case resource_type::group:
      if (wanted.name.empty()) return fail(errc::invalid_request, "Default group resources are not allowed.");
      return {};
    case resource_type::client_metrics:
      if (wanted.name.empty())
        return fail(errc::invalid_request, "Default client metrics resources are not allowed.");
      return {};
    case resource_type::broker_logger:
      return fail(errc::invalid_request, "There are no loggers to set; log.level is given at the start.");
  }
  return fail(errc::invalid_request, "Unexpected resource type {}.", static_cast<int>(wanted.type));
}

}  // namespace

task<std::vector<result<void>>> alter_resources(request_context& context,
                                                std::vector<resource_alteration> wanted, bool validate_only) {
  const node& whole = context.shard.whole();
  std::vector<result<void>> results(wanted.size());
  std::vector<topic_alteration> topics;
  std::vector<size_t> topic_places;
  const image_ptr image = context.shard.image();
  std::map<std::pair<int8_t, std::string_view>, int> count_of;
  for (const resource_alteration& w : wanted) ++count_of[{w.type, w.name}];
  for (size_t i = 0; i < wanted.size(); ++i) {
    resource_alteration& w = wanted[i];
    if (count_of[{w.type, w.name}] > 1) {
      results[i] = fail(errc::invalid_request, "Each resource must appear at most once.");
      continue;
    }
    results[i] = check(w, context.shard);
    if (!results[i]) continue;
    if (w.type == static_cast<int8_t>(resource_type::topic)) {
      topic_places.push_back(i);
      topics.push_back({image->find(w.name)->id, std::move(w.changes)});
      continue;
    }
    const auto alter_there = [&configs = *whole.configs, &w, validate_only] {
      return configs.alter(static_cast<resource_type>(w.type), w.name, w.changes, validate_only);
    };
    results[i] = co_await runtime::call_on(shard_id(0), alter_there);
  }
  if (topics.empty()) co_return results;
  const auto alter_topics_there = [&registry = *whole.topics, &topics, validate_only] {
    return registry.alter(std::move(topics), validate_only);
  };
  const std::vector<result<void>> altered = co_await runtime::call_on(shard_id(0), alter_topics_there);
  for (size_t i = 0; i < altered.size(); ++i) results[topic_places[i]] = altered[i];
  co_return results;
}

}  // namespace millrace::broker
