#include "storage/checkpoint.h"

#include <utility>

#include "runtime/fs.h"
#include "storage/codec.h"
#include "storage/sealed_file.h"

namespace millrace::storage {

namespace {

constexpr seal_kind checkpoint_seal{
    .magic = {"MRCKPT\0", 7}, .version = 4, .oldest = 1, .what = "checkpoint"};
constexpr uint64_t file_bytes_max = uint64_t{4} << 30;

// Bits of a segment's flags; formats before 4 have the first alone.
constexpr uint8_t flag_sums = 1;
constexpr uint8_t flag_gaps = 2;
constexpr uint8_t flag_swapping = 4;

void put(field_writer& w, const producer_entry& e) {
  w.put(e.epoch);
  w.put(e.last_written_ms);
  w.put(e.count);
  for (int i = 0; i < e.count; ++i) {
    const producer_batch& b = e.batches[static_cast<size_t>(i)];
    w.put(b.first_sequence);
    w.put(b.last_sequence);
    w.put(b.base_offset.value());
    w.put(b.last_offset.value());
    w.put(b.timestamp_ms);
  }
}

producer_entry get_producer(field_reader& r) {
  producer_entry e;
  e.epoch = r.get<int16_t>();
  e.last_written_ms = r.get<int64_t>();
  const auto count = r.get<uint8_t>();
  for (int i = 0; i < count && i < producer_batches_kept; ++i) {
    producer_batch b;
    b.first_sequence = r.get<int32_t>();
    b.last_sequence = r.get<int32_t>();
    b.base_offset = offset(r.get<int64_t>());
    b.last_offset = offset(r.get<int64_t>());
    b.timestamp_ms = r.get<int64_t>();
    e.push(b);
  }
  return e;
}

void put(field_writer& w, const segment& s) {
  w.put(s.base.value());
  w.put(s.end.value());
  w.put(s.written);
  w.put(s.max_timestamp_ms);
  w.put(s.max_timestamp_offset.value());
  w.put(s.bytes_since_index_entry);
  w.put(s.offset_entries_saved);
  w.put(s.time_entries_saved);
  w.put(s.first_timestamp_ms);
  w.put(s.created_ms);
  w.put(s.modified_ms);
  w.put(static_cast<uint8_t>((s.has_sums ? flag_sums : 0) | (s.may_have_gaps ? flag_gaps : 0) |
                             (s.is_swapping ? flag_swapping : 0)));
  w.put(s.summed);
  w.put(s.rest_sum);
  w.put_bytes(s.tail);
}

segment get_segment(field_reader& r, int format) {
  segment s;
  s.base = offset(r.get<int64_t>());
  s.end = offset(r.get<int64_t>());
  s.written = r.get<uint64_t>();
  s.max_timestamp_ms = r.get<int64_t>();
  s.max_timestamp_offset = offset(r.get<int64_t>());
  s.bytes_since_index_entry = r.get<uint64_t>();
  s.offset_entries_saved = r.get<uint32_t>();
  s.time_entries_saved = r.get<uint32_t>();
  if (format >= 3) {
    s.first_timestamp_ms = r.get<int64_t>();
    s.created_ms = r.get<int64_t>();
    s.modified_ms = r.get<int64_t>();
    const auto flags = r.get<uint8_t>();
    s.may_have_gaps = (flags & flag_gaps) != 0;
    s.is_swapping = (flags & flag_swapping) != 0;
    s.summed = r.get<uint64_t>();
    s.rest_sum = r.get<uint64_t>();
    s.has_sums = (flags & flag_sums) != 0 && s.summed <= s.written;
  }
  // Imported, or of a format that had no checksums: the former may have gaps, and nothing tells them apart.
  if (format < 4) s.may_have_gaps = !s.has_sums;
  if (const bytes_view tail = r.get_bytes(); !tail.empty()) s.tail = slice::copy_of(tail);
  return s;
}

void put(field_writer& w, const checkpoint_partition& p) {
  w.put(p.id);
  w.put_text(p.topic_name);
  w.put(p.log_start.value());
  w.put(p.spilled_end.value());
  w.put(p.redo_from.value());
  w.put(p.producers_end.value());
  w.put(p.cleaned_to.value());
  w.put(static_cast<uint32_t>(p.epochs.size()));
  for (const epoch_start& e : p.epochs) {
    w.put(e.epoch.value());
    w.put(e.start.value());
  }
  w.put(static_cast<uint32_t>(p.producers.size()));
  for (const auto& [id, entry] : p.producers) {
    w.put(id.value());
    put(w, entry);
  }
  w.put(static_cast<uint32_t>(p.segments.size()));
  for (const segment& s : p.segments) put(w, s);
}

checkpoint_partition get_partition(field_reader& r, int format) {
  checkpoint_partition p;
  p.id = r.get_partition();
  p.topic_name = r.get_text();
  p.log_start = offset(r.get<int64_t>());
  p.spilled_end = offset(r.get<int64_t>());
  p.redo_from = lsn(r.get<uint64_t>());
  p.producers_end = offset(r.get<int64_t>());
  if (format >= 4) p.cleaned_to = offset(r.get<int64_t>());
  for (uint32_t n = r.get_count(12); n > 0 && r.ok(); --n) {
    epoch_start e;
    e.epoch = leader_epoch(r.get<int32_t>());
    e.start = offset(r.get<int64_t>());
    p.epochs.push_back(e);
  }
  for (uint32_t n = r.get_count(19); n > 0 && r.ok(); --n) {
    const producer_id id(r.get<int64_t>());
    p.producers.emplace_back(id, get_producer(r));
  }
  for (uint32_t n = r.get_count(60); n > 0 && r.ok(); --n) p.segments.push_back(get_segment(r, format));
  return p;
}

}  // namespace

std::vector<std::byte> encode(const checkpoint& c) {
  field_writer w;
  w.out().resize(seal_bytes);
  w.put(c.shard);
  w.put(static_cast<uint8_t>(c.is_clean));
  for (const lane_ends& ends : {c.synced, c.unsynced}) {
    w.put(ends.trim.value());
    w.put(ends.durable_end.value());
  }
  w.put(static_cast<uint32_t>(c.cursors.size()));
  for (const auto& [key, next] : c.cursors) {
    w.put(key.processor);
    w.put(key.input);
    w.put(next);
  }
  w.put(static_cast<uint32_t>(c.partitions.size()));
  for (const checkpoint_partition& p : c.partitions) put(w, p);

  std::vector<std::byte> file = std::move(w.out());
  seal(file, checkpoint_seal);
  return file;
}

result<checkpoint> decode_checkpoint(bytes_view file, const std::string& path) {
  const auto opened = unseal(file, checkpoint_seal, path);
  if (!opened) return fail(opened.error());
  const int format = opened->version;
  field_reader r(opened->body);
  checkpoint c;
  c.shard = r.get<uint32_t>();
  c.is_clean = r.get<uint8_t>() != 0;
  for (const lane which : all_lanes) {
    if (which == lane::unsynced && format < 2) continue;
    c.of(which).trim = lsn(r.get<uint64_t>());
    c.of(which).durable_end = lsn(r.get<uint64_t>());
    if (!(first_lsn(which) <= c.of(which).trim && c.of(which).trim <= c.of(which).durable_end) ||
        (which == lane::synced && lane_of(c.synced.durable_end) != lane::synced))
      return fail(errc::corruption, "{} is damaged: its frame numbers make no sense", path);
  }
  for (uint32_t n = r.get_count(44); n > 0 && r.ok(); --n) {
    cursor_key key;
    key.processor = r.get_uuid();
    key.input = r.get_partition();
    c.cursors.emplace_back(key, r.get<int64_t>());
  }
  for (uint32_t n = r.get_count(60); n > 0 && r.ok(); --n) c.partitions.push_back(get_partition(r, format));
  if (!r.ok() || !r.at_end()) return fail(errc::corruption, "{} is damaged: its fields do not fit", path);
  return c;
}

runtime::task<result<checkpoint>> load_checkpoint(std::string path) {
  auto file = co_await runtime::fs::read_file(path, file_bytes_max);
  if (!file) co_return fail(file.error());
  co_return decode_checkpoint(*file, path);
}

}  // namespace millrace::storage
