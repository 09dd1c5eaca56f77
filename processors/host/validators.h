// validators: processors with on_error = "reject", which say what may enter a topic.
//
// A validator runs on the records of a produced batch before it is appended, and emits nothing. If it fails
// for any of them, the batch is refused as a whole, and the producer learns for which records and why. It
// keeps no state and no position: it never lags, and there is nothing to recover. What processors derive is
// not validated, only what clients send.
//
// An idempotent producer's retry is validated like its original. If an instance cannot be made, the topic
// takes nothing: producers get a retriable error until the cause is mended.
//
// Runs on: the partition's owner shard.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "processors/host/deployment.h"
#include "processors/host/instance.h"
#include "processors/host/record_block.h"
#include "protocol/batch_check.h"
#include "storage/log/partition_log.h"

namespace millrace::processors {

class validators {
 public:
  // Of a refused batch so many records are named.
  static constexpr size_t record_errors_max = 100;

  explicit validators(deployment what, breadcrumb* crumb = nullptr) : what_(std::move(what)), crumb_(crumb) {}

  // Another set of processors validates from the next batch on.
  void adopt(deployment now) { what_ = std::move(now); }

  // Nothing if the batch may be appended.
  std::optional<protocol::batch_error> check(const storage::partition_log& log,
                                             const protocol::checked_batch& batch);

 private:
  struct verdicts {
    deployed_ptr by;        // whose instance `code` is
    uint64_t rejected = 0;  // batches
    std::unique_ptr<instance> code;
    std::string why_not;  // it could not be made
  };
  verdicts& validator_for(const deployed_ptr& p, int32_t partition);

  deployment what_;
  breadcrumb* const crumb_;
  std::map<std::pair<uuid, int32_t>, verdicts> made_;
  record_block block_;
};

}  // namespace millrace::processors
