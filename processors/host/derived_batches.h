// derived_batches: what one call has emitted and changed, as record batches ready for the log.
//
// One batch per output, in the order of emission, and one per changelog, in the order of keys; more only
// where one would pass batch_bytes_target.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "processors/abi/millrace_processor.h"
#include "processors/host/emissions.h"
#include "processors/host/state.h"
#include "protocol/batch_builder.h"
#include "protocol/batch_check.h"
#include "protocol/codec.h"

namespace millrace::processors {

struct derived_batch {
  uint32_t target = 0;  // output (or its outbox), or changelog behind the outputs
  protocol::checked_batch batch;
};

// The header behind its own that a record in an outbox carries: where it goes, and the offset of the input
// record that caused it; "3 1042".
inline constexpr std::string_view outbox_header = "millrace.outbox";

// What the check of a produced batch does for a topic with message.timestamp.type = LogAppendTime.
void stamp_append_time(protocol::checked_batch& batch);

// The builder's records as a batch for the log.
protocol::checked_batch finished_batch(protocol::batch_builder& builder, protocol::codec compression);

class batch_assembler {
 public:
  // Below Kafka's default of max.message.bytes, so that every consumer's defaults suit. One larger record
  // gets a batch of its own.
  static constexpr size_t batch_bytes_target = 1'000'000;

  // `causes` are the input records of the call. The result stands until the next call.
  std::span<derived_batch> assemble(const emissions& from, std::span<const partition_state::change> changes,
                                    std::span<const millrace_record> causes, uint32_t output_count,
                                    protocol::codec compression);
  // What assemble() gave last, and one more.
  std::span<derived_batch> with(derived_batch one);
  // A record of the host's own: two texts.
  static derived_batch note(std::string_view key, std::string_view value, uint32_t target);
  // The record as it is, with what is told about it in headers behind its own.
  derived_batch dead_letter(const millrace_record& record,
                            std::span<const std::pair<std::string, std::string>> told, uint32_t target,
                            protocol::codec compression);

 private:
  void finish(uint32_t target, protocol::codec compression);

  protocol::batch_builder builder_;
  std::vector<protocol::record_header_view> headers_;
  std::vector<derived_batch> batches_;
};

}  // namespace millrace::processors
