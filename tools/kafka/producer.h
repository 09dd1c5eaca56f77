// producer: records to one topic, with every acknowledgement accounted for.
//
// send() queues and returns; librdkafka batches and retries. The first record that is given up for good
// stops the producer: send() then fails, and finish() tells what did arrive. Only an idempotent producer
// neither doubles nor reorders when a connection breaks; librdkafka takes half a second to become one.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "tools/kafka/handle.h"
#include "tools/kafka/raii.h"
#include "tools/text/record_input.h"

namespace millrace::tools {

class producer {
 public:
  struct settings {
    std::string topic;
    std::string acks = "all";
    std::string codec = "none";
    std::string partitioner = "murmur2_random";  // Kafka's own; librdkafka names the others
    bool is_idempotent = false;
  };
  struct partition_totals {
    uint64_t records = 0;
    int64_t first_offset = -1;  // -1: unknown (acks=0)
    int64_t last_offset = -1;
  };
  struct totals {
    uint64_t records = 0;  // acknowledged
    uint64_t bytes = 0;    // keys and values of those
    uint64_t failed = 0;
    std::map<int32_t, partition_totals> partitions;
  };

  // Waits for the topic to have leaders; a broker that creates topics by itself is given time to.
  static result<std::unique_ptr<producer>> open(const connection& to, const settings& s);

  result<void> send(const outgoing_record& record);
  // Lets acknowledgements in, and waits up to `wait_ms` for one. Cheap; call it between records and while
  // waiting for input.
  void poll(int wait_ms = 0) { rd_kafka_poll(client_->get(), wait_ms); }
  // Waits until everything sent is acknowledged or given up. After it, `so_far()` is final.
  // Returns the error of the first record that failed.
  result<void> finish();
  const totals& so_far() const noexcept { return totals_; }

 private:
  producer() = default;
  void on_delivery(const rd_kafka_message_t& message);
  result<void> await_topic(const std::string& name);

  std::unique_ptr<handle> client_;
  topic_ptr topic_;
  totals totals_;
  std::optional<error> first_failure_;
  uint32_t sent_since_poll_ = 0;
};

}  // namespace millrace::tools
