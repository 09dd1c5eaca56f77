// load: the clients that the benchmarks run, the same against Millrace and any Kafka.
//
// Each function is one run: it drives librdkafka from one thread, counts, and returns what it saw. Rates
// are the client's view; what the broker spent is measured from outside. Open-loop runs send on a fixed
// schedule and count latency from the moment a record was due, so that a stall is charged to every record
// it delayed; closed-loop runs send as fast as acknowledgements allow.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tools/kafka/handle.h"

namespace millrace::perf {

struct load_options {
  tools::connection to;
  std::string topic;
  uint64_t records = 0;
  uint32_t record_bytes = 1024;
  uint32_t batch_bytes = 16 * 1024;
  uint32_t batch_records = 100'000;  // 1: one record a request
  double linger_ms = 5;
  std::string acks = "all";
  std::string codec = "none";
  uint64_t rate = 0;  // records/s of an open loop; 0: closed loop
  // What a processor makes of `topic`; echo and derive consume this one. Empty: `topic` itself.
  std::string derived;
  // With so many keys in each partition every record has one of them; 0: none.
  uint64_t keys = 0;
  // The processor passes on records whose "temp" is at least this.
  int64_t passing = 0;
};

// Exact samples: benchmarks are short, and a histogram's buckets would blur small ratios.
class samples {
 public:
  void reserve(uint64_t count) { microseconds_.reserve(count); }
  void add(int64_t nanoseconds) { microseconds_.push_back(static_cast<double>(nanoseconds) / 1e3); }
  uint64_t count() const noexcept { return microseconds_.size(); }
  // Requires: count() > 0. Sorts.
  double quantile(double q);

 private:
  std::vector<double> microseconds_;
  bool is_sorted_ = false;
};

struct load_result {
  uint64_t records = 0;
  uint64_t failed = 0;
  uint64_t bytes = 0;  // of values
  double seconds = 0;
  double client_cpu_seconds = 0;
  samples ack_latency;         // produce: until acknowledged
  samples end_to_end_latency;  // echo: until consumed
};

// Sends `records`, round robin over partitions in runs as long as a batch.
result<load_result> run_produce(const load_options& options);
// Reads `records` from the beginning of all partitions.
result<load_result> run_consume(const load_options& options);
// Sends as run_produce() does while reading `derived`, until all that follows from the records has come.
result<load_result> run_derive(const load_options& options);
// Produces `topic` and consumes it, or `derived`. Without a rate each record waits for the one before it to
// come back (ping-pong).
result<load_result> run_echo(const load_options& options);

// The key that a load's record number `i` has.
std::string key_of(const load_options& options, int32_t partition, uint64_t i);
// Whether the mapping processor of the benchmarks (tests/perf/streams) passes a value on.
bool passes(std::string_view value, int64_t temp_min);
// So many different values a load sends, over and over.
inline constexpr size_t payload_count = 4096;
// `count` values of `bytes` each that look like sensor readings in JSON; the same for the same arguments.
std::vector<std::string> make_payloads(size_t count, size_t bytes);

}  // namespace millrace::perf
