// fetch_plan: reads the targets of one fetch from the shards that own them, and waits if there is too little.
//
// Made on the connection's shard. The partitions of each owner are read there in one go, side by side with
// the others; each may use the whole budget, and what is too much in the end is dropped here, in the order of
// the targets (records are slices of shared memory, so dropping them costs nothing). A target whose topic or
// partition is unknown is an error in its place, and an error ends the wait.
#pragma once

#include <cstdint>
#include <list>
#include <vector>

#include "broker/fetch/partition_reader.h"
#include "broker/fetch/sessions.h"
#include "broker/fetch/waits.h"
#include "broker/metadata/image.h"
#include "runtime/task.h"

namespace millrace::broker {

class shard_context;

class fetch_plan {
 public:
  struct options {
    storage::read_bound bound;
    int64_t bytes_max;
    int64_t bytes_min;
    runtime::nanoseconds patience;
  };

  // `targets` is read here and not kept.
  fetch_plan(shard_context& shard, const std::list<fetch_target>& targets, options o);
  fetch_plan(const fetch_plan&) = delete;
  fetch_plan& operator=(const fetch_plan&) = delete;

  runtime::task<void> run();

  // After run(), once each: what the i-th target gets.
  partition_data take(size_t i) { return std::move(data_[i]); }
  // Of records, all targets together. Valid after run().
  int64_t bytes() const noexcept { return bytes_; }

 private:
  // What one shard owns of the targets.
  struct part {
    shard_id owner{0};
    std::vector<size_t> places;  // in data_
    std::vector<partition_read> wanted;
    bool is_stale = true;  // to be read (again)
  };

  void resolve(const std::list<fetch_target>& targets);
  runtime::task<void> read_stale();
  runtime::task<void> read_part(part& p);
  void trim();
  bool is_enough() const noexcept;
  // Until something moved; false if nothing did in time.
  runtime::task<bool> wait(runtime::nanoseconds patience);
  runtime::task<void> wait_part(part& p, runtime::nanoseconds patience, bool& is_over);

  shard_context& shard_;
  options options_;
  std::vector<partition_data> data_;
  std::vector<part> parts_;
  int64_t bytes_ = 0;
  bool has_error_ = false;
  fetch_waits::token token_;
};

}  // namespace millrace::broker
