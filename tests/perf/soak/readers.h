// readers: a consumer group, each member a client and a thread of its own, which times what it reads.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "tests/perf/soak/tally.h"
#include "tools/kafka/handle.h"

namespace millrace::perf {

class readers {
 public:
  // Joins `members` to the group `topic`, which reads `topic` from its beginning until this ends.
  static result<std::unique_ptr<readers>> open(const tools::connection& to, const std::string& topic,
                                               uint32_t members);
  ~readers();
  readers(const readers&) = delete;
  readers& operator=(const readers&) = delete;

  const std::string& topic() const noexcept { return topic_; }
  // How many partitions the members have between them, and whether those are all.
  bool has_all() const noexcept { return assigned_ == partitions_; }
  uint64_t records() const noexcept { return records_; }
  int64_t last_ns() const noexcept { return last_ns_; }
  tally& seen() noexcept { return tally_; }

 private:
  struct member {
    std::unique_ptr<tools::handle> client;
    int assigned = 0;
  };

  explicit readers(std::string topic) : topic_(std::move(topic)) {}

  void read(member& one);
  void take(const rd_kafka_message_t& message, sightings& now);
  void look_at_assignment(member& one);

  std::string topic_;
  int partitions_ = 0;
  std::vector<std::unique_ptr<member>> members_;
  std::atomic<int> assigned_ = 0;
  std::atomic<uint64_t> records_ = 0;
  std::atomic<int64_t> last_ns_ = 0;
  std::atomic<bool> is_over_ = false;
  tally tally_;
  std::vector<std::jthread> threads_;
};

}  // namespace millrace::perf
