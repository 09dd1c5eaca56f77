#include "storage/log/batch_filter.h"

#include <algorithm>
#include <utility>

#include "base/checksum.h"
#include "base/limits.h"
#include "base/varint.h"
#include "protocol/record.h"
#include "storage/fault.h"

namespace millrace::storage {

namespace {

using protocol::batch_header;
using protocol::batch_header_bytes;

// What the records of one batch may measure.
constexpr size_t plain_bytes_max = 8 * limits::batch_bytes_max;

enum class marker : int16_t { abort = 0, commit = 1 };

// Of a control batch; nothing for one of another kind.
std::optional<marker> marker_of(const slice& batch, const batch_header& h) {
  const auto plain = protocol::plain_records(batch, h, plain_bytes_max);
  if (!plain) return std::nullopt;
  protocol::record_iterator records(*plain, h.record_count);
  protocol::record_view record;
  if (!records.next(record) || !record.key || record.key->size() < 4) return std::nullopt;
  const auto type = load_be<int16_t>(record.key->data() + 2);
  if (type != 0 && type != 1) return std::nullopt;
  return static_cast<marker>(type);
}

void append(std::vector<std::byte>& out, bytes_view bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_varlong(std::vector<std::byte>& out, int64_t value) {
  std::byte raw[10];
  append(out, bytes_view(raw, put_uvarint(raw, zigzag_encode64(value))));
}

void append_nullable(std::vector<std::byte>& out, const std::optional<bytes_view>& bytes) {
  append_varlong(out, bytes ? static_cast<int64_t>(bytes->size()) : -1);
  if (bytes) append(out, *bytes);
}

// The record with another timestamp delta; its offset delta stays.
void append_record(std::vector<std::byte>& out, const protocol::record_view& record, int64_t timestamp_delta,
                   std::vector<std::byte>& scratch) {
  scratch.clear();
  scratch.push_back(std::byte{0});
  append_varlong(scratch, timestamp_delta);
  append_varlong(scratch, record.offset_delta);
  append_nullable(scratch, record.key);
  append_nullable(scratch, record.value);
  append_varlong(scratch, record.header_count);
  append(scratch, record.headers);
  append_varlong(out, static_cast<int64_t>(scratch.size()));
  append(out, scratch);
}

// Wraps, since a hostile pair of timestamps may be further apart than an int64 reaches.
int64_t difference(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

// Header and body behind each other, with the length and crc that belong to them.
void append_batch(std::vector<std::byte>& out, batch_header h, bytes_view body) {
  const size_t at = out.size();
  out.resize(at + batch_header_bytes + body.size());
  h.batch_length = static_cast<int32_t>(batch_header_bytes + body.size() - protocol::batch_prefix_bytes);
  h.store(out.data() + at);
  std::copy(body.begin(), body.end(), out.begin() + static_cast<std::ptrdiff_t>(at + batch_header_bytes));
  const bytes_view covered = bytes_view(out).subspan(at + protocol::batch_at::attributes);
  store_be(out.data() + at + protocol::batch_at::crc, crc32c(covered));
}

}  // namespace

struct record_place {
  offset at{0};
  std::optional<bytes_view> key;
  bool is_tombstone = false;
};

result<bool> batch_filter::gather(const slice& batches, offset from) {
  for (size_t at = 0; at < batches.size() && !is_full_;) {
    const batch_header h = batch_header::load(batches.data() + at);
    auto gathered = gather_batch(batches.sub(at, h.size_bytes()), h, from);
    if (!gathered) return gathered;
    at += h.size_bytes();
  }
  return !is_full_;
}

result<bool> batch_filter::gather_batch(const slice& batch, const batch_header& h, offset from) {
  if (h.last_offset() < from.value()) {
    gathered_end_ = offset(h.next_offset());
    return true;
  }
  if (h.is_control()) {
    if (marker_of(batch, h) == marker::abort)
      return fail(errc::not_supported, "it holds a transaction that was aborted, at offset {}",
                  h.base_offset);
    gathered_end_ = offset(h.next_offset());
    return true;
  }
  const auto plain = protocol::plain_records(batch, h, plain_bytes_max);
  if (!plain) return fail(plain.error());
  protocol::record_iterator records(*plain, h.record_count);
  for (protocol::record_view record; records.next(record);) {
    const offset at(h.base_offset + record.offset_delta);
    if (at < from || !record.key) continue;
    if (!keys_.put(*record.key, at)) {
      gathered_end_ = at;
      is_full_ = true;
      return false;
    }
  }
  MR_TRY(records.status());
  gathered_end_ = offset(h.next_offset());
  return true;
}

bool batch_filter::is_last_of_producer(const batch_header& h) const {
  if (!h.has_producer()) return false;
  const auto last = rules_.last_of_producer.find(h.producer_id);
  return last != rules_.last_of_producer.end() && last->second == h.last_offset();
}

bool batch_filter::stays(const batch_header& h, const record_place& record) const {
  if (record.at >= gathered_end_) return true;
  if (!record.key) return false;
  const offset newest = keys_.newest(*record.key);
  if (MILLRACE_FAULT(compaction_keeps_the_older)) return record.at != newest;
  if (record.at < newest) return false;
  if (!record.is_tombstone) return true;
  if (MILLRACE_FAULT(tombstones_go_at_once)) return false;
  // With a horizon the base timestamp is that time.
  return !h.has_delete_horizon() || rules_.now_ms < h.base_timestamp;
}

result<void> batch_filter::filter(const slice& batches, std::vector<std::byte>& out) {
  for (size_t at = 0; at < batches.size();) {
    const batch_header h = batch_header::load(batches.data() + at);
    const slice batch = batches.sub(at, h.size_bytes());
    auto filtered = h.is_control() ? filter_marker(batch, h, out) : filter_batch(batch, h, out);
    if (!filtered) return filtered;
    at += h.size_bytes();
  }
  return {};
}

result<void> batch_filter::filter_batch(const slice& batch, const batch_header& h,
                                        std::vector<std::byte>& out) {
  const auto plain = protocol::plain_records(batch, h, plain_bytes_max);
  if (!plain) return fail(plain.error());
  std::vector<bool> kept;
  kept.reserve(static_cast<size_t>(h.record_count));
  size_t count = 0;
  bool has_tombstones = false;
  protocol::record_iterator records(*plain, h.record_count);
  for (protocol::record_view record; records.next(record);) {
    const bool is_kept =
        stays(h, {offset(h.base_offset + record.offset_delta), record.key, record.is_tombstone()});
    kept.push_back(is_kept);
    count += is_kept ? 1 : 0;
    has_tombstones |= is_kept && record.is_tombstone();
  }
  MR_TRY(records.status());
  if (h.is_transactional()) open_[h.producer_id] |= count > 0;
  const bool is_stamped = has_tombstones && !h.has_delete_horizon();
  if (count == 0) {
    if (is_last_of_producer(h)) {
      empty(h, out);
    } else {
      has_changed_ = true;
    }
    return {};
  }
  if (count == kept.size() && !is_stamped) {
    append(out, batch);
    return {};
  }
  const int64_t horizon_ms = is_stamped ? rules_.now_ms + rules_.delete_retention_ms : -1;
  return rewrite(h, *plain, kept, horizon_ms, out);
}

result<void> batch_filter::filter_marker(const slice& batch, const batch_header& h,
                                         std::vector<std::byte>& out) {
  bool has_records = true;
  if (marker_of(batch, h)) {
    const auto decided = open_.find(h.producer_id);
    has_records = decided != open_.end() && decided->second;
    if (decided != open_.end()) open_.erase(decided);
  }
  // What lies behind the gathered stretch may be the end of a transaction that begins before it.
  if (offset(h.base_offset) >= gathered_end_) has_records = true;
  if (has_records || (h.has_delete_horizon() && rules_.now_ms < h.base_timestamp)) {
    append(out, batch);
    return {};
  }
  if (h.has_delete_horizon()) {
    if (is_last_of_producer(h)) {
      empty(h, out);
    } else {
      has_changed_ = true;
    }
    return {};
  }
  const auto plain = protocol::plain_records(batch, h, plain_bytes_max);
  if (!plain) return fail(plain.error());
  const std::vector<bool> all(static_cast<size_t>(h.record_count), true);
  return rewrite(h, *plain, all, rules_.now_ms + rules_.delete_retention_ms, out);
}

result<void> batch_filter::rewrite(const batch_header& h, const slice& plain, const std::vector<bool>& stays,
                                   int64_t horizon_ms, std::vector<std::byte>& out) {
  has_changed_ = true;
  batch_header changed = h;
  if (horizon_ms >= 0) {
    changed.attributes |= protocol::batch_attributes::delete_horizon;
    changed.base_timestamp = horizon_ms;
  }
  std::vector<std::byte> body;
  body.reserve(plain.size());
  std::vector<std::byte> scratch;
  changed.record_count = 0;
  int64_t newest_ms = protocol::no_timestamp;
  protocol::record_iterator records(plain, h.record_count);
  for (protocol::record_view record; records.next(record);) {
    if (!stays[static_cast<size_t>(records.index() - 1)]) continue;
    const auto time_ms = static_cast<int64_t>(static_cast<uint64_t>(h.base_timestamp) +
                                              static_cast<uint64_t>(record.timestamp_delta));
    newest_ms = changed.record_count == 0 ? time_ms : std::max(newest_ms, time_ms);
    ++changed.record_count;
    if (horizon_ms >= 0) {
      append_record(body, record, difference(time_ms, horizon_ms), scratch);
    } else {
      append(body, record.whole);
    }
  }
  MR_TRY(records.status());
  if (!h.uses_append_time()) changed.max_timestamp = newest_ms;
  if (h.compression() == protocol::codec::none) {
    append_batch(out, changed, body);
  } else {
    const slice compressed = protocol::compress(h.compression(), body);
    append_batch(out, changed, compressed);
  }
  return {};
}

// Without records, as Kafka leaves it: no codec, no base timestamp.
void batch_filter::empty(const batch_header& h, std::vector<std::byte>& out) {
  has_changed_ |= h.record_count > 0;
  batch_header changed = h;
  changed.attributes &= static_cast<int16_t>(
      ~(protocol::batch_attributes::codec_mask | protocol::batch_attributes::delete_horizon));
  changed.base_timestamp = protocol::no_timestamp;
  changed.record_count = 0;
  append_batch(out, changed, {});
}

}  // namespace millrace::storage
