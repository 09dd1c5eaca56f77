// inbox: where one shard takes in what the outboxes of other partitions send to its partitions.
//
// For every outbox partition and every partition it sends to there is a position: up to which offset of the
// outbox its records have arrived. It is stored beside the target partition (so it moves with it when the
// number of shards changes) and is written in the frame that holds the records. So a record that is sent
// again, after a crash or an error in between, is recognised: it arrives exactly once.
//
// The name of a position is made of the ids of outbox topic and target topic, never of their names: one that
// was deleted and created again is another.
//
// Runs on: the target's owner shard. Destroying it requires that close() was awaited.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "protocol/batch_check.h"
#include "runtime/event.h"
#include "runtime/task.h"
#include "storage/shard_store.h"

namespace millrace::processors {

// What one outbox partition has for one partition: some of its records, in their order.
struct parcel {
  storage::topic_partition_id to;
  std::vector<protocol::checked_batch> batches;
  int64_t first = 0;  // offset in the outbox of the first record
  int64_t next = 0;   // and behind the last one
};

class inbox {
 public:
  explicit inbox(storage::shard_store& store) : store_(store) {}
  ~inbox();
  inbox(const inbox&) = delete;
  inbox& operator=(const inbox&) = delete;

  // Lets what is under way end, and takes no more.
  runtime::task<void> close();

  // Up to where records of the outbox partition have arrived in `to`; 0 if none has.
  int64_t position(const storage::topic_partition_id& outbox, const storage::topic_partition_id& to) const;

  // Appends the parcels that have not arrived yet, each in one frame with the position behind it, and returns
  // when all of them are durable. After an error some may have arrived: send all of them again.
  // Errors that stay: message_too_large, record_list_too_large, corruption. All others may pass.
  runtime::task<result<void>> take(storage::topic_partition_id outbox, std::vector<parcel> parcels);

  // Drops the positions of a partition that is about to be removed.
  void forget(const storage::topic_partition_id& target);

 private:
  runtime::task<result<void>> take_one(storage::cursor_key key, const parcel& p,
                                       storage::commit_mark& touched);

  storage::shard_store& store_;
  uint32_t at_work_ = 0;
  bool is_closed_ = false;
  runtime::condition left_;
};

}  // namespace millrace::processors
