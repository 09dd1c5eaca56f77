#include "processors/host/emissions.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/limits.h"
#include "processors/sdk/millrace/partition.h"

namespace millrace::processors {
namespace {

// The emission as it was in the first version of the ABI.
constexpr uint32_t emission_bytes_min =
    offsetof(millrace_emission, headers) + sizeof(millrace_emission::headers);

bool is_sound(const millrace_bytes& bytes) {
  return bytes.size <= 0 || bytes.data != nullptr;
}

// What empty records and headers cost all the same, so that a limit on bytes limits their number.
constexpr uint64_t record_overhead = 16;
constexpr uint64_t header_overhead = 4;

// Clamped, so that sums of hostile sizes cannot wrap around.
uint64_t size_of(const millrace_bytes& bytes) {
  return bytes.size > 0 ? std::min(static_cast<uint64_t>(bytes.size), emissions::record_output_bytes_max + 1)
                        : 0;
}

uint64_t cost_of(const millrace_emission& emission) {
  uint64_t cost = record_overhead + size_of(emission.key) + size_of(emission.value);
  for (const millrace_header& h : std::span(emission.headers, emission.header_count))
    cost += header_overhead + size_of(h.key) + size_of(h.value);
  return cost;
}

}  // namespace

void emissions::set_routes(std::vector<output_route> routes, int32_t input_partition) {
  routes_ = std::move(routes);
  input_partition_ = input_partition;
}

int32_t emissions::partition_count(uint32_t output) const {
  return output < routes_.size() && routes_[output].by == partitioning::processor ? routes_[output].partitions
                                                                                  : 0;
}

void emissions::begin(uint32_t record_count, uint32_t output_count) {
  renumber(0, record_count);
  output_count_ = output_count;
  cause_began_at_ = 0;
  bytes_ = 0;
  failed_record_.reset();
  entries_.clear();
  arena_.clear();
  headers_.clear();
}

void emissions::renumber(uint32_t first, uint32_t count) {
  record_first_ = first;
  record_count_ = count;
}

int32_t emissions::add(const millrace_emission* from) {
  const uint32_t last_cause = std::max(record_first_, entries_.empty() ? 0 : entries_.back().cause);
  if (!from || from->struct_size < emission_bytes_min) return refuse(last_cause, MILLRACE_INVALID_ARGUMENT);
  millrace_emission emission{};
  std::memcpy(&emission, from, std::min<size_t>(from->struct_size, sizeof(emission)));
  if (emission.record >= record_count_) return refuse(last_cause, MILLRACE_OUT_OF_ORDER);
  emission.record += record_first_;
  if (emission.record < last_cause) return refuse(last_cause, MILLRACE_OUT_OF_ORDER);
  if (const int32_t status = check(emission); status != MILLRACE_OK) return refuse(emission.record, status);

  if (entries_.empty() || emission.record != entries_.back().cause) cause_began_at_ = bytes_;
  const uint64_t cost = cost_of(emission);
  if (bytes_ - cause_began_at_ + cost > record_output_bytes_max)
    return refuse(emission.record, MILLRACE_TOO_LARGE);

  entry e{};
  e.output = emission.output;
  e.cause = emission.record;
  e.timestamp_ms = emission.timestamp_ms;
  e.arena_began_at = arena_.size();
  e.bytes_before = bytes_;
  e.key = store(emission.key);
  e.value = store(emission.value);
  e.headers_at = static_cast<uint32_t>(headers_.size());
  e.header_count = emission.header_count;
  e.partition = partition_of(emission);
  for (const millrace_header& h : std::span(emission.headers, emission.header_count)) {
    const stored_bytes key = store(h.key);
    headers_.push_back({key, store(h.value)});
  }
  entries_.push_back(e);
  bytes_ += cost;
  return MILLRACE_OK;
}

void emissions::drop_from(uint32_t cause) {
  const auto first = std::ranges::lower_bound(entries_, cause, {}, &entry::cause);
  if (first == entries_.end()) return;
  arena_.resize(first->arena_began_at);
  bytes_ = first->bytes_before;
  headers_.resize(first->headers_at);
  entries_.erase(first, entries_.end());
}

emitted_record emissions::at(size_t index) const {
  MR_ASSERT(index < entries_.size());
  const entry& e = entries_[index];
  resolved_.clear();
  for (uint32_t i = 0; i < e.header_count; ++i) {
    const stored_header& h = headers_[e.headers_at + i];
    resolved_.push_back({resolve(h.key), resolve(h.value)});
  }
  return {e.output, e.cause, e.timestamp_ms, resolve(e.key), resolve(e.value), resolved_, e.partition};
}

int32_t emissions::refuse(uint32_t record, int32_t status) {
  if (!failed_record_) failed_record_ = record;
  return status;
}

int32_t emissions::check(const millrace_emission& emission) const {
  if (emission.output >= output_count_) return MILLRACE_UNKNOWN_OUTPUT;
  if (!is_sound(emission.key) || !is_sound(emission.value)) return MILLRACE_INVALID_ARGUMENT;
  if (emission.header_count > limits::record_headers_max) return MILLRACE_TOO_LARGE;
  if (emission.header_count > 0 && !emission.headers) return MILLRACE_INVALID_ARGUMENT;
  for (const millrace_header& h : std::span(emission.headers, emission.header_count))
    if (h.key.size < 0 || !is_sound(h.key) || !is_sound(h.value)) return MILLRACE_INVALID_ARGUMENT;
  if (emission.has_partition > 1) return MILLRACE_INVALID_ARGUMENT;
  if (emission.has_partition &&
      (emission.partition < 0 || emission.partition >= partition_count(emission.output)))
    return MILLRACE_UNKNOWN_PARTITION;
  if (emission.timestamp_ms < -1 && emission.timestamp_ms != MILLRACE_INHERIT_TIMESTAMP)
    return MILLRACE_INVALID_ARGUMENT;
  return MILLRACE_OK;
}

// Where a sound emission goes; -1: the partition beside the input's.
int32_t emissions::partition_of(const millrace_emission& emission) const {
  if (emission.output >= routes_.size()) return -1;
  const output_route& route = routes_[emission.output];
  if (route.by == partitioning::input) return -1;
  if (emission.has_partition) return emission.partition;
  if (emission.key.size < 0) return input_partition_ % route.partitions;
  return partition_for_key({emission.key.data, static_cast<size_t>(emission.key.size)}, route.partitions);
}

emissions::stored_bytes emissions::store(const millrace_bytes& bytes) {
  if (bytes.size < 0) return {0, -1};
  const uint64_t at = arena_.size();
  arena_.append(bytes.data, static_cast<size_t>(bytes.size));
  return {at, bytes.size};
}

millrace_bytes emissions::resolve(const stored_bytes& bytes) const {
  if (bytes.size < 0) return {nullptr, -1};
  return {arena_.data() + bytes.at, bytes.size};
}

}  // namespace millrace::processors
