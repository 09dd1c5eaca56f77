// group_call: from the shard of a connection to the group's coordinator and back.
//
//   auto answer = co_await ask_group<R>(context, group, [&](group_machine& m, step& s, reply_to<R> reply) {
//   ... });
//
// The handler runs on the coordinator's shard while the caller waits, so it may refer to the request. An
// error means that the coordinator did not take the request (NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS):
// it has no effect, and goes into the response's error code as it is.
#pragma once

#include <string_view>
#include <utility>

#include "broker/api/api.h"
#include "broker/coord/host/service.h"
#include "broker/coord/partition_of.h"
#include "broker/shard_context.h"
#include "runtime/shards.h"

namespace millrace::broker::coord {

inline caller caller_of(const request_context& context) {
  const std::string_view peer = context.peer;
  std::string_view host = peer.substr(0, peer.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return {.client_id = std::string(context.client_id()),
          .client_host = "/" + std::string(host),
          .version = context.version()};
}

template <class R, class Handler>
task<result<R>> ask_on_owner(service* groups, int32_t partition, Handler& handler) {
  group_partition* p = groups != nullptr ? groups->find(partition) : nullptr;
  if (p == nullptr) co_return fail(errc::not_coordinator);
  auto asked = p->ask<R>(std::ref(handler));
  co_return co_await asked;
}

template <class R, class Handler>
task<result<R>> ask_group(request_context& context, std::string_view group, Handler handler) {
  const image_ptr image = context.shard.image();
  const topic* t = image->find(group_topic);
  // Nobody has asked for a coordinator yet; FindCoordinator makes the topic.
  if (t == nullptr) co_return fail(errc::not_coordinator);
  const int32_t partition = partition_of(group, t->partitions);
  const shard_id owner = context.shard.owner(*t, partition);
  service* groups = context.shard.whole().shards[owner.value()]->groups;
  const auto ask_there = [groups, partition, &handler] {
    return ask_on_owner<R>(groups, partition, handler);
  };
  auto call = runtime::call_on(owner, ask_there);
  co_return co_await call;
}

}  // namespace millrace::broker::coord
