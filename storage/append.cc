// The append section: from a checked batch to bytes in the open frame. No await in here, so that what one
// caller appends without awaiting lands in one frame.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "protocol/batch_check.h"
#include "runtime/reactor.h"
#include "runtime/timer.h"
#include "storage/fault.h"
#include "storage/store_core.h"
#include "storage/wal/frame.h"

namespace millrace::storage {

std::unexpected<error> store_core::refusal() const {
  if (read_only_) return fail(errc::kafka_storage_error, "{}", read_only_->message);
  return fail(errc::kafka_storage_error, "the disk of {} is full", options_.data_dir);
}

uint64_t store_core::wal_live_bytes() const {
  uint64_t sum = 0;
  for (const log_lane& l : lanes_) sum += l.files->live_bytes();
  return sum;
}

bool store_core::has_pressure() const {
  return unspilled_bytes_ >= options_.unspilled_bytes_max || wal_live_bytes() >= options_.wal_bytes_max;
}

wal::writer& store_core::writer_of(const cursor_key& key) const {
  const auto input = logs_.find(key.input);
  return input == logs_.end() ? *at_lane(lane::synced).writer : writer_of(*input->second);
}

task<result<void>> store_core::wait_durable(commit_mark at) {
  for (const lane which : all_lanes) {
    if (at.of(which).value() == 0) continue;
    auto durable = co_await at_lane(which).writer->wait_durable(at.of(which));
    if (!durable) co_return durable;
  }
  co_return {};
}

task<result<void>> store_core::admit(uint64_t bytes) {
  (void)bytes;
  if (read_only_ || is_disk_full()) co_return refusal();
  // Sections begin here, so this is where a full frame may end without splitting one.
  for (log_lane& l : lanes_) l.writer->seal_if_large();
  if (!has_pressure()) co_return {};

  maintenance_work_.set();
  bool is_late = false;
  runtime::timer deadline([&is_late, this] {
    is_late = true;
    room_.notify_all();
  });
  deadline.arm_after(options_.admit_wait_max);
  while (has_pressure() && !is_late && !read_only_ && !is_disk_full()) co_await room_.wait();
  if (read_only_ || is_disk_full()) co_return refusal();
  if (has_pressure())
    co_return fail(errc::kafka_storage_error, "the disk is behind by {} bytes", unspilled_bytes_);
  for (log_lane& l : lanes_) l.writer->seal_if_large();
  co_return {};
}

uint64_t store_core::open_frame_room(const partition_log& log) const {
  const uint64_t used = writer_of(log).open_frame().bytes_with(0);
  return used < options_.frame_bytes_max ? options_.frame_bytes_max - used : 0;
}

// Sees to it that an entry fits the open frame. What clients send begins a new one if it would leave too
// little room for what is derived from it, which belongs to the frame of its input.
result<void> store_core::make_room_for(wal::writer& writer, size_t body_bytes, append_origin origin) {
  const uint64_t room_for_outputs = options_.frame_bytes_max / 4;
  if (origin == append_origin::client &&
      writer.open_frame().bytes_with(body_bytes) > options_.frame_bytes_max - room_for_outputs)
    writer.seal_open();
  if (writer.open_frame().bytes_with(body_bytes) <= options_.frame_bytes_max) return {};
  return fail(errc::message_too_large, "{} bytes do not fit a commit of {}", body_bytes,
              options_.frame_bytes_max);
}

void store_core::touch(partition_log& log) {
  log_lane& mine = lane_of(log);
  const lsn open = mine.writer->open_lsn();
  if (log.touched_at == open) return;
  log.touched_at = open;
  mine.touched.push_back(&log);
}

result<appended> store_core::append(partition_log& log, const protocol::checked_batch& batch,
                                    append_origin origin) {
  ++append_depth_;
  result<appended> done = append_one(log, batch, origin);
  if (--append_depth_ == 0) {
    // Nothing more is promised of these: they may be read as soon as all that belongs together is in.
    for (partition_log* l : in_memory_) l->advance_high_watermark(l->log_end());
    in_memory_.clear();
  }
  return done;
}

result<appended> store_core::append_one(partition_log& log, const protocol::checked_batch& batch,
                                        append_origin origin) {
  if (read_only_ || is_disk_full()) return refusal();
  const size_t bytes = batch.size_bytes();
  if (bytes > log.config().segment_bytes)
    return fail(errc::record_list_too_large, "a batch of {} bytes does not fit a segment of {}", bytes,
                log.config().segment_bytes);

  const protocol::batch_header& header = batch.header;
  const producer_id producer(header.producer_id);
  const producer_epoch epoch(header.producer_epoch);
  const bool is_idempotent = header.has_producer() && !header.is_control();
  if (is_idempotent && origin == append_origin::client) {
    auto checked = log.producers().check(producer, epoch, header.base_sequence, header.record_count);
    if (!checked) return fail(checked.error());
    if (const std::optional<producer_batch>& original = *checked;
        original && !MILLRACE_FAULT(duplicate_written)) {
      appended known;
      known.base_offset = original->base_offset;
      known.last_offset = original->last_offset;
      known.durable_at = MILLRACE_FAULT(duplicate_early) ? lsn(0) : original->durable_at;
      if (batch.uses_append_time) known.log_append_time_ms = original->timestamp_ms;
      known.is_duplicate = true;
      return known;
    }
  }

  wal::writer& writer = writer_of(log);
  MR_TRY(make_room_for(writer, wal::batch_prefix_bytes + bytes, origin));
  const offset base = log.log_end();
  const offset last = base.plus(header.last_offset_delta);
  wal::frame_builder& frame = writer.open_frame();
  const mutable_bytes body = frame.add(wal::entry_kind::batch, 0, wal::batch_prefix_bytes + bytes);
  wal::encode_partition(body.data(), log.id());
  const mutable_bytes stored = body.subspan(wal::batch_prefix_bytes);
  protocol::store_batch(batch, base.value(), log.epoch().value(), stored);
  const slice stored_slice = frame.slice_of(stored);
  const lsn at = frame.lsn();
  const bool is_in_memory = log.config().durability == durability::memory;
  const lsn promised_at = is_in_memory ? lsn(0) : at;
  if (is_in_memory) in_memory_.push_back(&log);

  log.epochs().note(log.epoch(), base);
  log.push({base, last, batch.max_timestamp, at, stored_slice});
  if (is_idempotent) {
    const producer_batch accepted{
        header.base_sequence, header.last_sequence(), base, last, batch.max_timestamp, promised_at};
    log.producers().update(producer, epoch, accepted, runtime::reactor::current().wall_clock_ms());
  }
  touch(log);
  cached_bytes_ += bytes;
  unspilled_bytes_ += bytes;
  ++appended_batches_;
  appended_bytes_ += bytes;
  writer.touched();
  if (options_.witness && storage::lane_of(at) == lane::synced) options_.witness->on_append(at.value());

  if (MILLRACE_FAULT(output_in_later_frame)) writer.seal_open();
  if (append_hook_) append_hook_(log, stored_slice, batch);

  appended done;
  done.base_offset = base;
  done.last_offset = last;
  done.durable_at = promised_at;
  if (batch.uses_append_time) done.log_append_time_ms = batch.max_timestamp;
  return done;
}

void store_core::log_cursor(const cursor_key& key, int64_t next_offset) {
  wal::writer& writer = writer_of(key);
  const mutable_bytes body = writer.open_frame().add(wal::entry_kind::cursor, 0, wal::cursor_body_bytes);
  wal::encode_cursor(body.data(), MILLRACE_FAULT(cursor_not_logged) ? cursor_key{} : key, next_offset);
  writer.touched();
}

void store_core::set_cursor(const cursor_key& key, int64_t next_offset) {
  if (read_only_) return;
  log_cursor(key, next_offset);
  cursors_[key] = next_offset;
}

void store_core::remove_cursor(const cursor_key& key) {
  if (read_only_ || cursors_.erase(key) == 0) return;
  log_cursor(key, -1);
}

std::optional<int64_t> store_core::cursor(const cursor_key& key) const {
  const auto found = cursors_.find(key);
  if (found == cursors_.end()) return std::nullopt;
  return found->second;
}

std::vector<std::pair<cursor_key, int64_t>> store_core::cursors() const {
  return {cursors_.begin(), cursors_.end()};
}

void store_core::frame_sealed(log_lane& in, lsn at) {
  frame_record record;
  record.at = at;
  record.bytes = in.writer->open_frame().bytes();
  record.touched.reserve(in.touched.size());
  for (partition_log* log : in.touched) record.touched.emplace_back(log, log->log_end());
  in.touched.clear();
  if (MILLRACE_FAULT(watermark_at_seal))
    for (const auto& [log, end] : record.touched) log->advance_high_watermark(end);
  in.sealed_frames.push_back(std::move(record));
}

void store_core::frame_durable(log_lane& in, lsn at) {
  MR_ASSERT(!in.sealed_frames.empty() && in.sealed_frames.front().at == at);
  frame_record record = std::move(in.sealed_frames.front());
  in.sealed_frames.pop_front();
  if (options_.witness && in.which == lane::synced) options_.witness->on_commit(at.value());
  for (const auto& [log, end] : record.touched)
    log->advance_high_watermark(MILLRACE_FAULT(watermark_of_last_append) ? log->log_end() : end);
  keep_cached(std::move(record));
  if (has_pressure()) maintenance_work_.set();
}

void store_core::log_lane::waiting_for_space(bool is_waiting) {
  waits_for_space = is_waiting;
  store.maintenance_work_.set();
  store.room_.notify_all();
}

}  // namespace millrace::storage
