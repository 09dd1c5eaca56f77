// writers: many producers, each with a connection of its own, driven by one thread so that they are cheap.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "tests/perf/soak/tally.h"
#include "tools/kafka/handle.h"
#include "tools/kafka/raii.h"

namespace millrace::perf {

struct writers_options {
  tools::connection to;
  std::string topic;
  uint32_t producers = 100;
  uint32_t record_bytes = 200;
  uint64_t keys = 1000;       // in each partition
  int64_t passing_temp = 20;  // see passes()
};

class writers {
 public:
  static result<std::unique_ptr<writers>> open(const writers_options& options);

  // Sends for `seconds`: `rate` records/s of all producers together in an open loop, each of them 20 bursts a
  // second to one partition each; at rate 0 as fast as acknowledgements allow. Returns when all is
  // acknowledged or given up. Runs on: one thread.
  result<void> run(double seconds, uint64_t rate);

  // Of every record since the first: how many were acknowledged, and how many of those a mapper passes on.
  uint64_t acknowledged() const noexcept { return acknowledged_; }
  uint64_t passing() const noexcept { return passing_; }
  tally& seen() noexcept { return tally_; }

 private:
  struct producer {
    std::unique_ptr<tools::handle> client;
    tools::topic_ptr topic;
    uint64_t sent = 0;    // of this run
    uint64_t bursts = 0;  // of all
    uint64_t waiting = 0;
  };

  explicit writers(const writers_options& options);

  result<void> burst(producer& one, uint64_t records, int64_t due);
  result<void> finish();
  void on_delivery(producer& one, const rd_kafka_message_t& message);

  writers_options options_;
  std::vector<std::string> payloads_;
  std::vector<bool> passes_;
  std::vector<std::unique_ptr<producer>> producers_;
  size_t partitions_ = 0;
  uint64_t next_ = 0;  // number of the next record
  uint64_t acknowledged_ = 0;
  uint64_t passing_ = 0;
  tally tally_;
};

}  // namespace millrace::perf
