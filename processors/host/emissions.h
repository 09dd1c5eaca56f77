// emissions: what one call of a processor wants to append, before it becomes batches.
//
// Records are copied here out of the processor's memory, each with the input record that caused it, so
// that whatever belongs to a failed record can be taken back. They come in the order of their causes.
//
// Memory is kept between calls.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "processors/abi/millrace_processor.h"
#include "processors/host/spec.h"

namespace millrace::processors {

// One emitted record. Views end with the next call to the emissions they came from.
struct emitted_record {
  uint32_t output = 0;
  uint32_t cause = 0;         // number of the input record in its call
  int64_t timestamp_ms = -1;  // or MILLRACE_INHERIT_TIMESTAMP
  millrace_bytes key{};
  millrace_bytes value{};
  std::span<const millrace_header> headers;
  int32_t partition = -1;  // of an output with an outbox: where it goes
};

// Where records of an output go.
struct output_route {
  partitioning by = partitioning::input;
  int32_t partitions = 0;  // of its topic; told unless `by` is input
};

class emissions {
 public:
  // One input record may cause this many bytes of output; more fails it.
  static constexpr uint64_t record_output_bytes_max = 8 * 1024 * 1024;

  // By output; for all calls to come. Without it all are partitioning::input.
  void set_routes(std::vector<output_route> routes, int32_t input_partition);
  // Of an output that is partitioning::processor; else 0.
  int32_t partition_count(uint32_t output) const;

  // Starts over, for a call with `record_count` input records and a processor with `output_count` outputs.
  void begin(uint32_t record_count, uint32_t output_count);

  // The records that the plugin counts from 0 are numbers `first` to `first` + `count` - 1 of the call.
  void renumber(uint32_t first, uint32_t count);

  // What host->emit does. Checks everything: the emission comes from a plugin. Gives a millrace_status; on
  // an error the emission's record counts as failed (see failed_record).
  int32_t add(const millrace_emission* emission);

  // The first record for which an emission was refused. An emission that names no record of the call
  // fails the record emitted for last.
  std::optional<uint32_t> failed_record() const { return failed_record_; }

  // Takes back what records from number `cause` on have emitted.
  void drop_from(uint32_t cause);

  size_t count() const { return entries_.size(); }
  uint32_t output_of(size_t index) const { return entries_[index].output; }
  emitted_record at(size_t index) const;
  // Of keys, values and headers, with a few for each record and header.
  uint64_t bytes() const { return bytes_; }

 private:
  // Bytes in the arena; size -1 is null.
  struct stored_bytes {
    uint64_t at;
    int64_t size;
  };
  struct stored_header {
    stored_bytes key;
    stored_bytes value;
  };
  struct entry {
    uint32_t output;
    uint32_t cause;
    int64_t timestamp_ms;
    stored_bytes key;
    stored_bytes value;
    uint32_t headers_at;
    uint32_t header_count;
    int32_t partition;
    uint64_t arena_began_at;
    uint64_t bytes_before;
  };

  int32_t refuse(uint32_t record, int32_t status);
  int32_t check(const millrace_emission& emission) const;
  int32_t partition_of(const millrace_emission& emission) const;
  stored_bytes store(const millrace_bytes& bytes);
  millrace_bytes resolve(const stored_bytes& bytes) const;

  std::vector<output_route> routes_;
  int32_t input_partition_ = 0;
  uint32_t record_first_ = 0;
  uint32_t record_count_ = 0;
  uint32_t output_count_ = 0;
  uint64_t bytes_ = 0;
  uint64_t cause_began_at_ = 0;  // bytes_ before the last cause's first emission
  std::optional<uint32_t> failed_record_;
  std::vector<entry> entries_;
  std::string arena_;
  std::vector<stored_header> headers_;
  mutable std::vector<millrace_header> resolved_;  // of the record that at() gave last
};

}  // namespace millrace::processors
