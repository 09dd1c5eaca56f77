// waits: long polls that wait for partitions of this shard.
//
// A Fetch that finds too little parks here, on every shard that owns one of its partitions, until one of them
// moves, its time is up, or the fetch calls it off because another shard had news. Runs on: the shard that
// owns the partitions.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "runtime/abort.h"
#include "runtime/clock.h"
#include "runtime/task.h"
#include "storage/shard_store.h"

namespace millrace::broker {

struct awaited_partition {
  storage::topic_partition_id id;
  storage::read_bound bound = storage::read_bound::high_watermark;
  // Where its readable end was when the fetch looked; if it has moved since, there is nothing to wait for.
  int64_t seen_end = 0;
};

class fetch_waits {
 public:
  // Names a wait: unique over all shards.
  struct token {
    uint32_t shard = 0;
    uint64_t number = 0;
    bool operator==(const token&) const = default;
  };

  // For a fetch of a connection of this shard, `home`.
  token new_token(shard_id home) noexcept { return {home.value(), next_number_++}; }

  // True if something moved (or a partition is gone), false if the time was up or it was called off.
  runtime::task<bool> wait(storage::shard_store& store, token name, std::vector<awaited_partition> partitions,
                           runtime::nanoseconds patience, runtime::abort_source& stopping);
  void call_off(token name);

  size_t size() const noexcept { return parked_.size(); }

 private:
  class waiter;
  struct token_hash {
    size_t operator()(const token& t) const noexcept { return t.number * 64 + t.shard; }
  };
  std::unordered_map<token, waiter*, token_hash> parked_;
  uint64_t next_number_ = 0;
};

}  // namespace millrace::broker
