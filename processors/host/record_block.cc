#include "processors/host/record_block.h"

#include <algorithm>

#include "base/assert.h"
#include "base/limits.h"
#include "protocol/record.h"

namespace millrace::processors {
namespace {

// As much as a produced batch may inflate to.
constexpr size_t plain_bytes_max = 8 * limits::batch_bytes_max;

millrace_bytes to_abi(const std::optional<bytes_view>& bytes) {
  if (!bytes) return {nullptr, -1};
  return {reinterpret_cast<const char*>(bytes->data()), static_cast<int64_t>(bytes->size())};
}

uint64_t size_of(const millrace_bytes& bytes) {
  return bytes.size > 0 ? static_cast<uint64_t>(bytes.size) : 0;
}

}  // namespace

result<void> record_block::fill(slice batch, slice plain) {
  pieces_.clear();
  bare_.clear();
  full_.clear();
  headers_.clear();
  has_full_ = false;
  input_ = 0;
  return decode(std::move(batch), std::move(plain));
}

bool record_block::add(slice batch) {
  MR_ASSERT(!has_full_ && !pieces_.empty());
  const auto is_plain = [](const protocol::batch_header& h) {
    return !h.is_control() && !h.is_transactional();
  };
  const auto next = protocol::parse_batch(batch);
  if (!next || !is_plain(*next) || !is_plain(header())) return false;
  const size_t records = bare_.size();
  const size_t pieces = pieces_.size();
  if (decode(std::move(batch), {})) return true;
  bare_.resize(records);
  pieces_.resize(pieces);
  return false;
}

result<void> record_block::decode(slice batch, slice plain) {
  auto header = protocol::parse_batch(batch);
  if (!header) return fail(header.error());
  if (header->size_bytes() != batch.size()) return fail(errc::corruption, "a batch with bytes behind it");
  // Uncompressed records are read where they are stored, whoever else has them.
  if (header->compression() == protocol::codec::none || plain.empty()) {
    auto records = protocol::plain_records(batch, *header, plain_bytes_max);
    if (!records) return fail(records.error());
    plain = std::move(*records);
  }
  pieces_.push_back({std::move(batch), std::move(plain), *header});
  const piece& p = pieces_.back();
  bare_.reserve(bare_.size() + static_cast<size_t>(std::max(p.header.record_count, 0)));
  protocol::record_iterator it(p.plain, p.header.record_count);
  for (protocol::record_view r; it.next(r);) {
    millrace_record record{};
    record.input = input_;
    record.offset = p.header.base_offset + r.offset_delta;
    record.timestamp_ms =
        p.header.uses_append_time() ? p.header.max_timestamp : p.header.base_timestamp + r.timestamp_delta;
    record.key = to_abi(r.key);
    record.value = to_abi(r.value);
    bare_.push_back(record);
  }
  return it.status();
}

bool record_block::is_intact() const {
  return std::ranges::all_of(pieces_, [](const piece& p) { return protocol::has_valid_crc(p.batch); });
}

uint64_t record_block::plain_bytes() const {
  uint64_t bytes = 0;
  for (const piece& p : pieces_) bytes += p.plain.size();
  return bytes;
}

std::span<const millrace_record> record_block::from(int64_t offset, bool with_headers, uint64_t bytes_max) {
  if (with_headers && !has_full_) add_headers();
  const std::span<const millrace_record> all = with_headers ? full_ : bare_;
  const auto first = std::ranges::lower_bound(all, offset, {}, &millrace_record::offset);
  uint64_t bytes = 0;
  auto last = first;
  while (last != all.end() && bytes < bytes_max) {
    bytes += size_of(last->key) + size_of(last->value);
    ++last;
  }
  return {first, last};
}

void record_block::come_from(uint32_t input) {
  if (input_ == input) return;
  input_ = input;
  for (millrace_record& record : bare_) record.input = input;
  for (millrace_record& record : full_) record.input = input;
}

void record_block::add_headers() {
  has_full_ = true;
  full_ = bare_;
  size_t total = 0;
  for (const piece& p : pieces_) {
    protocol::record_iterator it(p.plain, p.header.record_count);
    for (protocol::record_view r; it.next(r);) total += static_cast<size_t>(r.header_count);
  }
  headers_.reserve(total);  // records keep pointers into it

  auto record = full_.begin();
  for (const piece& p : pieces_) {
    protocol::record_iterator it(p.plain, p.header.record_count);
    for (protocol::record_view r; it.next(r); ++record) {
      record->headers = headers_.data() + headers_.size();
      record->header_count = static_cast<uint32_t>(r.header_count);
      protocol::header_iterator headers(r);
      for (protocol::record_header_view h; headers.next(h);)
        headers_.push_back({to_abi(as_bytes(h.key)), to_abi(h.value)});
    }
  }
  MR_ASSERT(record == full_.end() && headers_.size() == total);
}

}  // namespace millrace::processors
