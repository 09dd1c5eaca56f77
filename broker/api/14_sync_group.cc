// 14 SyncGroup, v0-5.
//
// v1 throttle time; v3 static members; v4 flexible; v5 protocol type and name, to be compared.
// A follower's answer waits for the leader's request.
#include "broker/api/all.h"
#include "broker/coord/host/group_call.h"
#include "protocol/generated/sync_group_request.h"
#include "protocol/generated/sync_group_response.h"

namespace millrace::broker {
namespace {

using protocol::sync_group_request;
using protocol::sync_group_response;

task<result<sync_group_response>> handle(request_context& context, sync_group_request request) {
  const auto run = [&request](coord::group_machine& m, coord::step& s, coord::sync_reply reply) {
    m.sync(request, s, std::move(reply));
  };
  auto call = coord::ask_group<sync_group_response>(context, request.group_id, run);
  result<sync_group_response> synced = co_await call;
  if (synced) co_return std::move(*synced);
  sync_group_response refused;
  refused.error_code = kafka_code(synced.error().code);
  co_return refused;
}

}  // namespace

const api sync_group_api = make_api<handle>(0, 5);

}  // namespace millrace::broker
