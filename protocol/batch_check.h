// batch_check: whether a batch from a producer may enter the log, decided as Kafka decides it.
//
// Everything that can be told from the bytes and the topic's settings: one batch of magic 2, length and
// crc, size limits, counts, control bit, codec, and for every record, inside compressed batches too, its
// structure, key and timestamp. What needs the partition's state (sequence numbers, transactions) is
// checked by whoever owns it. Codes and their order are those of Kafka 4's broker, so that clients see no
// difference: tests/data/protocol/malformed.tsv has its answers. In one thing this is stricter: records
// whose stated lengths are wrong are refused in compressed batches as well, where Kafka lets them pass and
// every consumer stumbles over them later.
//
// The batch itself is not copied. What the log stores can differ from what was sent in a few header fields
// (offset, epoch, attributes, timestamp): store_batch() writes those in the copy. In rare cases (another
// codec wanted, offset deltas wrong) it has to be laid out anew, and checked_batch::bytes is the new batch.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/errc.h"
#include "base/limits.h"
#include "protocol/codec.h"
#include "protocol/record_batch.h"

namespace millrace::protocol {

// Settings that decide, from the topic and the request.
struct batch_rules {
  int16_t produce_version = INT16_MAX;  // version of the Produce request
  size_t batch_bytes_max = 1'048'588;   // max.message.bytes
  size_t segment_bytes = 1 << 30;       // segment.bytes
  // Uncompressed size that records may have; ours, against bombs.
  size_t plain_bytes_max = 8 * limits::batch_bytes_max;
  bool has_transactional_id = false;            // the request names one: needed for transactional batches
  bool is_compacted = false;                    // cleanup.policy has compact: keys are needed
  bool uses_append_time = false;                // message.timestamp.type=LogAppendTime
  int64_t now_ms = 0;                           // wall clock
  int64_t timestamp_before_max_ms = INT64_MAX;  // message.timestamp.before.max.ms
  int64_t timestamp_after_max_ms = 3'600'000;   // message.timestamp.after.max.ms
  // compression.type: nothing keeps the producer's codec.
  std::optional<codec> stored_codec;
  codec_level stored_level;
};

// One refused record of a refused batch, as the Produce response lists them.
struct record_error {
  int32_t batch_index = 0;
  std::string message;
};

struct batch_error {
  errc code = errc::invalid_record;
  std::string message;
  std::vector<record_error> records;
};

struct checked_batch {
  slice bytes;                             // the batch as sent, or laid out anew
  batch_header header;                     // as the log keeps it; offset, epoch and crc are store_batch's
  slice records;                           // the records, decompressed; part of `bytes` if there is no codec
  int64_t max_timestamp = no_timestamp;    // over all records, or the append time; equal to the header's
  int32_t max_timestamp_offset_delta = 0;  // of the first record that has it
  bool uses_append_time = false;           // equal to the header's
  bool has_null_value = false;             // a tombstone is among the records

  int32_t record_count() const noexcept { return header.record_count; }
  size_t size_bytes() const noexcept { return bytes.size(); }
};

// Checks the records field of one partition of a Produce request.
std::expected<checked_batch, batch_error> check_produced_batch(const slice& records,
                                                               const batch_rules& rules);

// A batch that the broker made itself with batch_builder: believed, its timestamps apart, which are looked
// up. `plain_records` are its records decompressed, needed only if it has a codec.
checked_batch trusted_batch(slice batch, slice plain_records = {});

// Copies the batch to `into` as the log keeps it: with its offset and epoch, and what else the check
// changed. The crc is computed anew only if something under it changed. Requires: into.size() ==
// batch.size_bytes().
void store_batch(const checked_batch& batch, int64_t base_offset, int32_t leader_epoch,
                 mutable_bytes into) noexcept;

}  // namespace millrace::protocol
