// 57 UpdateFeatures, v0-2. v1 kinds of upgrade, validate only; v2 one result for all.
//
// What this version of Millrace can do is always in force, so an update either asks for the level there is,
// which is fine, or is refused; then, as by Kafka, all of the request is.
#include <algorithm>
#include <set>

#include "broker/api/all.h"
#include "broker/api/features.h"
#include "broker/shard_context.h"
#include "protocol/generated/update_features_request.h"
#include "protocol/generated/update_features_response.h"

namespace millrace::broker {
namespace {

using protocol::update_features_request;
using protocol::update_features_response;

constexpr int8_t upgrade = 1;  // 2: a safe downgrade, 3: an unsafe one

result<void> check(const update_features_request::feature_update_key& wanted, int16_t version,
                   int32_t node_id) {
  const auto known = std::ranges::find(features, wanted.feature, &feature::name);
  const auto refuse = [&wanted](std::string_view why) {
    return fail(errc::invalid_update_version, "Invalid update version {} for feature {}. {}",
                wanted.max_version_level, wanted.feature, why);
  };
  if (version >= 1 && (wanted.upgrade_type < upgrade || wanted.upgrade_type > 3))
    return fail(errc::invalid_request, "Unknown upgrade type {}.", wanted.upgrade_type);
  if (known == features.end())
    return refuse(fmt::format("Local controller {} does not support this feature.", node_id));
  if (wanted.max_version_level < known->min || wanted.max_version_level > known->max)
    return refuse(
        fmt::format("Local controller {} only supports versions {}-{}", node_id, known->min, known->max));
  if (wanted.max_version_level != known->finalized)
    return refuse(fmt::format("It is always at {} here.", known->finalized));
  return {};
}

result<void> check_all(const update_features_request& request, int16_t version, int32_t node_id) {
  std::set<std::string_view> names;
  for (const auto& wanted : request.feature_updates) {
    result<void> checked = check(wanted, version, node_id);
    if (checked && !names.insert(wanted.feature).second)
      checked = fail(errc::invalid_request, "{} comes twice.", wanted.feature);
    if (checked) continue;
    return fail(checked.error().code,
                "The update failed for all features since the following feature had an error: {}",
                checked.error().message);
  }
  return {};
}

task<result<update_features_response>> handle(request_context& context, update_features_request request) {
  update_features_response response;
  response.error_message = std::nullopt;
  const result<void> checked = check_all(request, context.version(), context.shard.config().node_id);
  if (!checked) {
    response.error_code = kafka_code(checked.error().code);
    response.error_message = checked.error().message;
  }
  for (const auto& wanted : request.feature_updates) {
    auto& answered = response.results.emplace_back();
    answered.feature = wanted.feature;
    answered.error_code = response.error_code;
    answered.error_message = response.error_message;
  }
  co_return response;
}

}  // namespace

const api update_features_api = make_api<handle>(0, 2);

}  // namespace millrace::broker
