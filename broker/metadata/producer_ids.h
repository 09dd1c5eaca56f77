// producer_ids: numbers for idempotent producers, never given out twice.
//
// A block of ids is made durable before its first is given out; a restart skips what was left of it.
// Runs on: shard 0.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/types.h"
#include "runtime/semaphore.h"
#include "runtime/task.h"
#include "storage/metadata_log.h"

namespace millrace::broker {

class producer_ids {
 public:
  explicit producer_ids(storage::metadata_log& log)
      : log_(log), next_(log.state().next_producer_id), end_(log.state().next_producer_id) {}

  runtime::task<result<producer_id>> next();

 private:
  static constexpr int64_t block = 1000;

  storage::metadata_log& log_;
  runtime::semaphore writing_{1};
  int64_t next_;
  int64_t end_;
};

}  // namespace millrace::broker
