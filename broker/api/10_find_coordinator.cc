// 10 FindCoordinator, v0-6.
//
// v1 the kind of key, an error message; v3 flexible; v4 several keys at once; v5, v6 as v4 (new error codes,
// share groups). A single node coordinates everything. The first who asks for a group's coordinator has
// __consumer_offsets created, and is answered when it is there. Transactional ids and share groups are
// refused: nobody here would coordinate them.
#include "broker/api/all.h"
#include "broker/coord/host/service.h"
#include "broker/metadata/topic_registry.h"
#include "broker/shard_context.h"
#include "protocol/generated/find_coordinator_request.h"
#include "protocol/generated/find_coordinator_response.h"
#include "runtime/shards.h"

namespace millrace::broker {
namespace {

using protocol::find_coordinator_request;
using protocol::find_coordinator_response;

constexpr int8_t key_type_group = 0;

task<result<void>> ensure_group_topic(request_context& context) {
  if (context.shard.image()->find(coord::group_topic) != nullptr) co_return result<void>();
  const settings& config = context.shard.config();
  std::vector<new_topic> wanted{
      {.name = std::string(coord::group_topic),
       .partitions = config.offsets_partitions,
       .overrides = {{"cleanup.policy", "compact"},
                     {"compression.type", "producer"},
                     {"segment.bytes", std::to_string(config.offsets_segment_bytes)}},
       .placement_seed = {}}};
  topic_registry& topics = *context.shard.whole().topics;
  const auto create_there = [&topics, &wanted] { return topics.create(std::move(wanted), false); };
  auto call = runtime::call_on(shard_id(0), create_there);
  const std::vector<result<topic_ptr>> made = co_await call;
  // Somebody else was faster: fine.
  if (made.at(0) || made.at(0).error().code == errc::topic_already_exists) co_return result<void>();
  co_return fail(errc::coordinator_not_available, "{}", made.at(0).error().message);
}

task<result<find_coordinator_response>> handle(request_context& context, find_coordinator_request request) {
  result<void> found;
  if (request.key_type == key_type_group) {
    auto ensured = ensure_group_topic(context);
    found = co_await ensured;
  } else {
    found = fail(errc::invalid_request, "this broker coordinates consumer groups only");
  }
  const auto fill = [&](auto& entry) {
    entry.node_id = found ? context.shard.config().node_id : -1;
    entry.host = found ? context.advertised.host : "";
    entry.port = found ? context.advertised.port : -1;
    entry.error_code = found ? 0 : kafka_code(found.error().code);
    if (!found) entry.error_message = found.error().message;
  };
  find_coordinator_response response;
  if (context.version() < 4) {
    fill(response);
    co_return response;
  }
  for (const std::string_view key : request.coordinator_keys) {
    auto& entry = response.coordinators.emplace_back();
    entry.key = key;
    fill(entry);
  }
  co_return response;
}

}  // namespace

const api find_coordinator_api = make_api<handle>(0, 6);

}  // namespace millrace::broker
