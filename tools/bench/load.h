// load: what `millrace bench` and the benchmarks of the project run, the same against Millrace and any Kafka.
//
// Each function is one run: it drives librdkafka, counts, and returns what it saw. Rates are the client's
// view. Open-loop runs send on a fixed schedule and count latency from the moment a record was due, so that a
// stall is charged to every record it delayed; closed-loop runs send as fast as acknowledgements allow.
// Ctrl-C ends a run early (see interrupt.h); what it saw until then is returned.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tools/kafka/handle.h"

namespace millrace::tools {

struct load_options {
  connection to;
  std::string topic;
  uint64_t records = 0;
  uint64_t warm_up_records = 0;  // sent before those, and in no figure
  uint32_t clients = 1;          // each with a connection and a thread of its own; they share the work
  uint32_t record_bytes = 1024;
  uint32_t batch_bytes = 16 * 1024;
  uint32_t batch_records = 100'000;  // 1: one record a request
  double linger_ms = 5;
  std::string acks = "all";
  std::string codec = "none";
  uint64_t rate = 0;  // records/s of an open loop, of all clients together; 0: closed loop
  // What a processor makes of `topic`; run_latency() consumes this one. Empty: `topic` itself.
  std::string derived;
  // With so many keys in each partition every record has one of them; 0: none.
  uint64_t keys = 0;
  // run_latency() sends a value for which this holds; empty: any.
  std::function<bool(std::string_view)> fits;
  // Only what transactions have committed.
  std::string isolation = "read_committed";
};

// Exact samples: runs are short, and a histogram's buckets would blur small ratios.
class samples {
 public:
  void reserve(uint64_t count) { microseconds_.reserve(count); }
  void add(int64_t nanoseconds) { microseconds_.push_back(static_cast<double>(nanoseconds) / 1e3); }
  void add(const samples& other);
  uint64_t count() const noexcept { return microseconds_.size(); }
  // Microseconds. Requires: count() > 0. Sorts.
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
  samples end_to_end_latency;  // latency: until consumed
  std::optional<error> first_failure;
};

// How far a run is; it counts here, warm-up included, while others read.
struct load_progress {
  std::atomic<uint64_t> records = 0;
  std::atomic<uint64_t> bytes = 0;
};

// Called about ten times a second while a run lasts, on the caller's thread.
using load_watch = std::function<void(const load_progress&)>;

// Sends `records`, round robin over partitions in runs as long as a batch.
result<load_result> run_produce(const load_options& options, const load_watch& watch = {});
// Reads `records` from the beginning of all partitions on. request_timed_out if there are not so many.
result<load_result> run_consume(const load_options& options, const load_watch& watch = {});
// Produces `topic` and consumes it, or `derived`. Without a rate each record waits for the one before it to
// come back (ping-pong). One client.
result<load_result> run_latency(const load_options& options, const load_watch& watch = {});

// The key that a load's record number `i` of a partition has: keys belong to one partition, so that counting
// by key needs no other, and `keys` records on end have them all.
std::string key_of(const load_options& options, int32_t partition, uint64_t i);
// So many different values a load sends, over and over.
inline constexpr size_t payload_count = 4096;
// `count` values of `bytes` each that look like sensor readings in JSON; the same for the same arguments.
std::vector<std::string> make_payloads(size_t count, size_t bytes);

}  // namespace millrace::tools
