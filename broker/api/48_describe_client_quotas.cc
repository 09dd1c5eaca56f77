// 48 DescribeClientQuotas, v0-1. v1 flexible. Clients have no quotas here (nor can any be set:
// AlterClientQuotas is not served), so whatever is asked for, there are none.
#include <algorithm>
#include <array>

#include "broker/api/all.h"
#include "protocol/generated/describe_client_quotas_request.h"
#include "protocol/generated/describe_client_quotas_response.h"

namespace millrace::broker {
namespace {

using protocol::describe_client_quotas_request;
using protocol::describe_client_quotas_response;

constexpr std::array<std::string_view, 3> entity_types = {"user", "client-id", "ip"};
constexpr int8_t match_any = 2;  // 0: a name, 1: the default

task<result<describe_client_quotas_response>> handle(request_context&,
                                                     describe_client_quotas_request request) {
  describe_client_quotas_response response;
  response.error_message = std::nullopt;
  response.entries.emplace();
  for (const auto& component : request.components) {
    if (std::ranges::find(entity_types, component.entity_type) == entity_types.end()) {
      response.error_code = kafka_code(errc::unsupported_version);
      response.error_message = fmt::format("Custom entity type '{}' not supported", component.entity_type);
    } else if (component.match_type < 0 || component.match_type > match_any) {
      response.error_code = kafka_code(errc::invalid_request);
      response.error_message = fmt::format("Unexpected match type {}", component.match_type);
    }
    if (response.error_code != 0) response.entries = std::nullopt;
  }
  co_return response;
}

}  // namespace

const api describe_client_quotas_api = make_api<handle>(0, 1);

}  // namespace millrace::broker
