// Any bytes as what a producer sends for one partition. What is taken must be storable, readable and
// acceptable once more.
//
// Input: a byte of settings, a byte of the wanted codec, then the records field. Offset and crc are made
// right most of the time, since chance would not.
//
// covers: protocol/batch_check. protocol/record_batch. protocol/record. protocol/batch_builder.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "base/checksum.h"
#include "protocol/batch_builder.h"
#include "protocol/batch_check.h"
#include "protocol/record.h"

using namespace millrace;
using namespace millrace::protocol;

namespace {

constexpr size_t plain_bytes_max = 1 << 20;

enum setting : uint8_t {
  compacted = 1,
  append_time = 2,
  transactional = 4,
  old_produce = 8,
  narrow = 16,
  raw = 32,
  recode = 64
};

batch_rules rules_of(uint8_t settings, uint8_t wanted) {
  batch_rules rules{.plain_bytes_max = plain_bytes_max, .now_ms = 1'700'000'000'000};
  rules.is_compacted = settings & compacted;
  rules.uses_append_time = settings & append_time;
  rules.has_transactional_id = settings & transactional;
  if (settings & old_produce) rules.produce_version = 3;
  if (settings & narrow) {
    rules.timestamp_before_max_ms = 1000;
    rules.segment_bytes = 200;
  }
  if (settings & recode) rules.stored_codec = static_cast<codec>(wanted % codec_count);
  return rules;
}

void make_checksum_right(std::vector<std::byte>& field) {
  if (field.size() < batch_header_bytes) return;
  const auto length = load_be<int32_t>(field.data() + batch_at::batch_length);
  if (length < 0 || static_cast<size_t>(length) > field.size() - batch_prefix_bytes) return;
  const size_t end = batch_prefix_bytes + static_cast<size_t>(length);
  if (end < batch_header_bytes) return;
  store_be(field.data() + batch_at::base_offset, int64_t{0});
  store_be(field.data() + batch_at::crc,
           crc32c(bytes_view(field).subspan(batch_at::attributes, end - batch_at::attributes)));
}

// Walks all there is and builds it anew.
void walk(const slice& records, const batch_header& header) {
  batch_builder copy;
  std::vector<record_header_view> headers;
  record_iterator it(records, header.record_count);
  for (record_view r; it.next(r);) {
    headers.clear();
    header_iterator walk_headers(r);
    for (record_header_view h; walk_headers.next(h);) headers.push_back(h);
    MR_ASSERT(headers.size() == static_cast<size_t>(r.header_count));
    copy.add(r.timestamp_delta, r.key, r.value, headers);
  }
  MR_ASSERT(it.status().has_value() && it.index() == header.record_count);
  const slice built = copy.build({});
  MR_ASSERT(parse_batch(built)->record_count == header.record_count && has_valid_crc(built));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::vector<std::byte> field(reinterpret_cast<const std::byte*>(data + 2),
                               reinterpret_cast<const std::byte*>(data + size));
  if (!(data[0] & raw)) make_checksum_right(field);
  const batch_rules rules = rules_of(data[0], data[1]);

  if (const auto parsed = parse_batch(field)) {
    const auto plain = plain_records(slice::copy_of(field), *parsed, plain_bytes_max);
    if (plain) {
      record_iterator it(*plain, parsed->record_count);
      for (record_view r; it.next(r);) continue;
      static_cast<void>(it.status());
    }
  }

  const auto checked = check_produced_batch(slice::copy_of(field), rules);
  if (!checked) return 0;
  walk(checked->records, checked->header);
  std::vector<std::byte> stored(checked->size_bytes());
  store_batch(*checked, 0, 0, stored);
  const slice kept = slice::copy_of(stored);
  MR_ASSERT(parse_batch(kept).has_value() && has_valid_crc(kept));
  if (rules.uses_append_time) set_append_time(stored, 1);

  batch_rules again = rules;
  again.uses_append_time = false;
  again.produce_version = INT16_MAX;
  again.timestamp_before_max_ms = again.timestamp_after_max_ms = INT64_MAX;
  if (!checked->uses_append_time) MR_ASSERT(check_produced_batch(kept, again).has_value());
  const checked_batch trusted = trusted_batch(kept, checked->records);
  MR_ASSERT(trusted.record_count() == checked->record_count());
  return 0;
}
