// 18 ApiVersions, v0-5.
//
// v1 throttle time; v3 flexible, client software, features; v5 cluster and node of the bootstrap (KIP-1242).
// The one API that is answered in any version (KIP-511): an unknown one gets the v0 layout, error 35, and the
// range of ApiVersions itself, from which the client picks again. Its response header is v0 for ever.
#include <algorithm>
#include <cctype>

#include "broker/api/all.h"
#include "broker/api/features.h"
#include "broker/shard_context.h"
#include "protocol/generated/api_versions_request.h"
#include "protocol/generated/api_versions_response.h"

namespace millrace::broker {

namespace {

using protocol::api_versions_request;
using protocol::api_versions_response;

// [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?
bool is_software_name(std::string_view text) {
  const auto is_alphanumeric = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  if (text.empty() || !is_alphanumeric(text.front()) || !is_alphanumeric(text.back())) return false;
  return std::ranges::all_of(text, [&](char c) { return is_alphanumeric(c) || c == '-' || c == '.'; });
}

api_versions_response::api_version range_of(const api& served) {
  return {.api_key = static_cast<int16_t>(served.key),
          .min_version = served.advertised_min,
          .max_version = served.version_max};
}

errc check(const request_context& context, const api_versions_request& request) {
  if (context.version() >= 3 && (!is_software_name(request.client_software_name) ||
                                 !is_software_name(request.client_software_version))) {
    return errc::invalid_request;
  }
  const node& whole = context.shard.whole();
  const bool is_other_cluster = request.cluster_id && *request.cluster_id != whole.cluster_id;
  const bool is_other_node = request.node_id >= 0 && request.node_id != whole.config.node_id;
  if (context.version() >= 5 && (is_other_cluster || is_other_node)) return errc::rebootstrap_required;
  return errc::none;
}

void put_features(api_versions_response& response, int16_t version) {
  response.finalized_features_epoch = 0;
  for (const feature& f : features) {
    auto& in_force = response.finalized_features.emplace_back();
    in_force.name = f.name;
    in_force.min_version_level = f.finalized;
    in_force.max_version_level = f.finalized;
    if (version < 4 && f.min == 0) continue;  // Java clients before 4.0 refuse a lowest level of 0
    auto& supported = response.supported_features.emplace_back();
    supported.name = f.name;
    supported.min_version = f.min;
    supported.max_version = f.max;
  }
}

task<result<reply>> run(request_context& context) {
  api_versions_response response;
  int16_t version = context.version();
  if (!api_versions_api.serves(version)) {
    version = 0;
    response.error_code = kafka_code(errc::unsupported_version);
    response.api_keys.push_back(range_of(api_versions_api));
  } else {
    protocol::reader in(context.body);
    const auto request = api_versions_request::decode(in, version);
    if (!request) co_return fail(request.error());
    const errc code = check(context, *request);
    response.error_code = kafka_code(code);
    if (code == errc::none) {
      for (const api* served : all_apis()) response.api_keys.push_back(range_of(*served));
      put_features(response, version);
    }
  }
  co_return reply{.bytes = protocol::encode_response(response, version, context.header.correlation_id)};
}

}  // namespace

const api api_versions_api = {.key = protocol::api_key::api_versions,
                              .version_min = 0,
                              .version_max = 5,
                              .advertised_min = 0,
                              .is_pipelined = false,
                              .run = run};

}  // namespace millrace::broker
