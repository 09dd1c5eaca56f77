// on_owners: what a request asks of partitions, dealt out to the shards that own them.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "broker/api/api.h"
#include "broker/shard_context.h"
#include "runtime/shards.h"

namespace millrace::broker {

template <class Item>
using by_owner = std::map<shard_id, std::vector<Item>>;

// Calls `work(store, items)` on each owner's shard, one after the other; it returns nothing or a task<void>.
// Must not be a coroutine itself if it has captures.
template <class Item, class Work>
task<void> on_owners(shard_context& shard, by_owner<Item>& items, Work work) {
  for (auto& [owner, its] : items) {
    storage::shard_store& store = shard.whole().shards[owner.value()]->store();
    const auto work_there = [&work, &store, &its] { return work(store, its); };
    co_await runtime::call_on(owner, work_there);
  }
}

}  // namespace millrace::broker
