// The part of shard_host that calls a processor and appends what comes of it.
#include <algorithm>
#include <chrono>

#include "base/assert.h"
#include "base/log.h"
#include "processors/host/shard_host.h"
#include "runtime/reactor.h"
#include "storage/fault.h"

namespace millrace::processors {
namespace {

using clock = std::chrono::steady_clock;

// What a batch or a position takes in a frame besides its bytes, generously.
constexpr uint64_t frame_entry_overhead_bytes = 256;
// What of a frame may not be there for outputs even if there is nothing else in it, generously.
constexpr uint64_t frame_margin_bytes = 64 * 1024;
// One record's outputs that do not fit so many frames in a row will never fit one.
constexpr uint32_t misfits_max = 8;
constexpr auto outbox_full_pause = std::chrono::milliseconds(20);
// So many calls in a row within the budget, and earlier overruns are forgotten.
constexpr uint32_t good_calls_to_forgive = 64;

// What they take in a frame, at most.
uint64_t frame_bytes(std::span<const derived_batch> batches) {
  uint64_t bytes = frame_entry_overhead_bytes;
  for (const derived_batch& b : batches) bytes += b.batch.size_bytes() + 2 * frame_entry_overhead_bytes;
  return bytes;
}

// Those of the records whose offset is lower.
std::span<const millrace_record> before(int64_t end, std::span<const millrace_record> records) {
  const auto at = std::ranges::lower_bound(records, end, {}, &millrace_record::offset);
  return records.first(static_cast<size_t>(at - records.begin()));
}

// Those of them, from the first, that are not younger.
std::span<const millrace_record> not_younger(int64_t than_ms, std::span<const millrace_record> records) {
  const auto at =
      std::ranges::find_if(records, [&](const millrace_record& r) { return r.timestamp_ms > than_ms; });
  return records.first(static_cast<size_t>(at - records.begin()));
}

uint64_t size_of(const millrace_record& record) {
  return static_cast<uint64_t>(std::max<int64_t>(record.key.size, 0) +
                               std::max<int64_t>(record.value.size, 0));
}

}  // namespace

// Processes the records of `block` from the flow's cursor on, up to `input_bytes_max`. Outputs and cursor go
// into the open frame. No await: what is appended here is one step.
shard_host::progress shard_host::advance(flow& f, record_block& block, uint64_t input_bytes_max,
                                         bool is_late) {
  uint64_t input_bytes = 0;
  while (f.input().cursor < block.next_offset()) {
    if (input_bytes >= input_bytes_max) return progress::some;
    if (is_others_turn(f, block)) return progress::turn;
    const auto records = next_records(f, block, input_bytes_max - input_bytes);
    if (!records) return f.is_live() ? progress::no_room : progress::stopped;
    if (records->empty()) break;
    const run_outcome outcome = run_here(f, *records);
    const progress p = conclude(f, block, *records, outcome, is_late, input_bytes);
    if (p != progress::all) return p;
  }
  return progress::all;
}

// The records of `block` to call for now. Empty, and the cursor is behind the block, if it has no more.
// Nothing if none may be processed: its outbox is full, it is paused, or it is a replay and at its end.
std::optional<std::span<const millrace_record>> shard_host::next_records(flow& f, record_block& block,
                                                                         uint64_t input_bytes_max) {
  const std::optional<int64_t> until = f.until();
  if (until && f.input().cursor >= *until) {
    finish(f);
    return std::nullopt;
  }
  if (block.header().is_transactional() && !block.header().is_control()) {
    pause(f, "its input holds transactional records, which processors do not read");
    return std::nullopt;
  }
  if (f.has_full_outbox()) {
    f.retry_at = runtime::reactor::current().now() + outbox_full_pause;
    return std::nullopt;
  }
  block.come_from(static_cast<uint32_t>(f.at_work));
  auto records = block.header().is_control()
                     ? std::span<const millrace_record>()
                     : block.from(f.input().cursor, f.processor.code->reads_headers(), input_bytes_max);
  if (until) records = before(*until, records);
  if (f.not_beyond_ms != INT64_MAX) records = not_younger(f.not_beyond_ms, records);
  if (records.empty()) move_cursor(f, std::min(block.next_offset(), until.value_or(INT64_MAX)));
  return records;
}

// Appends what came of a call for `records`, and moves the cursor behind those that are done. `all`: on to
// the next call. Adds what went in to `input_bytes`.
shard_host::progress shard_host::conclude(flow& f, record_block& block,
                                          std::span<const millrace_record> records,
                                          const run_outcome& outcome, bool is_late, uint64_t& input_bytes) {
  check_memory(f, block);
  if (outcome.trouble != trouble_kind::none) return on_trouble(f, block, records, outcome);
  auto batches = batches_of(f, records);
  const int64_t next =
      outcome.records_done == 0 ? 0 : block.offset_behind(records[outcome.records_done - 1].offset);
  if (f.has_several_inputs() && outcome.records_done > 0) batches = assembler_.with(order_entry(f, next));
  if (!has_room_for(f, batches)) {
    if (f.state) f.state->drop_from(0);
    // Where a replay cuts does not depend on what else is in the frame.
    if (f.until() && frame_bytes(batches) <= options_.frame_bytes_max - frame_margin_bytes)
      return progress::no_room;
    f.output_bytes_target = std::max<uint64_t>(f.output_bytes_target / 2, 1);
    f.misfits = outcome.records_done <= 1 ? f.misfits + 1 : 0;
    if (f.misfits < misfits_max) return progress::no_room;
    run_outcome misfit;
    misfit.failure = "what it emits does not fit a frame";
    if (const progress p = on_failure(f, block, records[0].offset, misfit); p != progress::all) return p;
  } else {
    if (!append_all(f, batches)) return progress::stopped;
    (is_late ? f.counters.late_calls : f.counters.inline_calls) += 1;
    f.counters.records_in += outcome.records_done;
    f.counters.records_out += f.code->output().count();
    const uint64_t bytes_before = input_bytes;
    for (const millrace_record& r : records.first(outcome.records_done)) input_bytes += size_of(r);
    f.counters.bytes_in += input_bytes - bytes_before;
    if (outcome.records_done > 0) move_cursor(f, next);
    note_taken(f, input_bytes - bytes_before);
    if (outcome.failure) {
      const int64_t at = records[outcome.records_done].offset;
      if (const progress p = on_failure(f, block, at, outcome); p != progress::all) return p;
    }
  }
  f.output_bytes_target = instance::call_output_bytes_target;
  f.misfits = 0;
  // Asked to stop early because the outputs are large: the rest belongs into later frames.
  if (!outcome.failure && outcome.records_done < records.size()) return progress::some;
  return progress::all;
}

// A call on the shard's own thread.
run_outcome shard_host::run_here(flow& f, std::span<const millrace_record> records) {
  const in_call noted(options_.crumb, f.processor.spec.name, f.processor.code->content_hash(),
                      f.input_topic(), f.partition());
  f.code->set_breadcrumb(options_.crumb);
  const auto began = clock::now();
  run_outcome outcome = f.code->run(records, output_bytes_for(f));
  const auto took = clock::now() - began;
  note_time(f, took, outcome);
  note_time_on_shard(f, took, records.size());
  return outcome;
}

void shard_host::note_time(flow& f, std::chrono::nanoseconds took, const run_outcome& outcome) {
  const auto ns = static_cast<uint64_t>(took.count());
  f.counters.busy_ns += ns;
  if (outcome.records_done > 0) f.counters.times.add(ns / outcome.records_done, outcome.records_done);
}

// A call that holds its shard up for too long is no error, and its result counts; a flow that has several of
// them goes on apart.
void shard_host::note_time_on_shard(flow& f, std::chrono::nanoseconds took, size_t records) {
  const auto now = runtime::reactor::current().now();
  if (turn_began_ != now) {  // the clock stands still within a turn
    turn_began_ = now;
    turn_used_ = {};
  }
  turn_used_ += took;
  if (options_.batch_budget.count() == 0) return;
  if (took <= options_.batch_budget) {
    if (++f.good_calls >= good_calls_to_forgive) f.overruns = 0;
    return;
  }
  f.good_calls = 0;
  ++f.overruns;
  // Powers of two, so that a slow processor does not fill the log.
  if (std::has_single_bit(++f.counters.stalls))
    log::warn("processor holds up its shard processor={} partition={} took_us={} records={} overruns={}",
              f.processor.spec.name, f.partition(),
              std::chrono::duration_cast<std::chrono::microseconds>(took).count(), records,
              f.counters.stalls);
  if (f.overruns >= options_.overruns_max && !f.is_apart) go_apart(f);
}

// How much a call may emit before it is asked to return.
uint64_t shard_host::output_bytes_for(const flow& f) const {
  const uint64_t room = f.until() ? options_.frame_bytes_max : frame_room(f);
  return std::min(f.output_bytes_target, room / 2);
}

uint64_t shard_host::frame_room(const flow& f) const {
  const storage::partition_log* input = store_.find(f.key.input);
  MR_ASSERT(input);
  return store_.open_frame_room(*input);
}

bool shard_host::has_room_for(const flow& f, std::span<const derived_batch> batches,
                              uint64_t more_bytes) const {
  return frame_bytes(batches) + more_bytes <= frame_room(f);
}

// What the last call has emitted and changed, as batches.
std::span<derived_batch> shard_host::batches_of(flow& f, std::span<const millrace_record> causes) {
  std::vector<partition_state::change> changes;
  if (f.state) changes = f.state->changes();
  return assembler_.assemble(f.code->output(), changes, causes, static_cast<uint32_t>(f.output_count()),
                             f.processor.spec.output_compression);
}

// Appends all of `batches` and returns true, or none and pauses the flow. What they hold of the state stands.
bool shard_host::append_all(flow& f, std::span<derived_batch> batches) {
  bool is_first = true;
  for (derived_batch& b : batches) {
    storage::partition_log* log = store_.find(f.targets[b.target]);
    MR_ASSERT(log);  // else partition_removed() had paused the flow
    if (log->config().timestamps == storage::timestamp_type::log_append_time) stamp_append_time(b.batch);
    const auto done = store_.append(*log, b.batch, storage::append_origin::derived);
    if (!done) {
      // The first may be refused, say by a shard that is read-only. Later ones have no reason of their own,
      // and half a result must never become durable.
      if (!is_first) log::error("half a result is in the open frame: {}", done.error().message);
      MR_ASSERT(is_first);
      if (f.state) f.state->drop_from(0);
      pause(f,
            fmt::format("its output {} cannot be written: {}", log->topic_name(), to_string(done.error())));
      return false;
    }
    f.counters.bytes_out += b.batch.size_bytes();
    if (b.target < f.outboxes.size() && f.outboxes[b.target])
      f.outboxes[b.target]->note_appended(b.batch.size_bytes());
    if (b.target >= f.output_count() && b.target < f.output_count() + f.changelog_count()) {
      store_.set_cursor(f.changelog_key(b.target - f.output_count()), log->log_end().value());
      f.changelog_bytes += b.batch.size_bytes();
      f.written_at = done->durable_at;
    }
    is_first = false;
  }
  if (f.state) {
    f.state->commit();
    snapshot_if_due(f);
  }
  return true;
}

void shard_host::move_cursor(flow& f, int64_t to) {
  f.input().cursor = to;
  if (!(MILLRACE_FAULT(position_of_one_input) && f.at_work > 0 && f.has_begun))
    store_.set_cursor(f.cursor_key(), to);
}

// The record at `at`, or a timer that it has made due, failed. Gives `all` if processing goes on: behind the
// record, or with the record again if it was a timer.
shard_host::progress shard_host::on_failure(flow& f, record_block& block, int64_t at,
                                            const run_outcome& outcome) {
  ++f.counters.failures;
  const std::string& why = *outcome.failure;
  const std::string what = outcome.failed_timer
                               ? fmt::format("the timer {} at {} ms, due at the record at offset {},",
                                             outcome.failed_timer->key, outcome.failed_timer->at_ms, at)
                               : fmt::format("the record at offset {}", at);
  if (outcome.is_out_of_memory) {
    pause(f, fmt::format("{} failed: the processor's state has reached state_bytes_max = {}", what,
                         f.processor.spec.state_bytes_max));
    return progress::stopped;
  }
  if (try_again_later(f, at, why)) return progress::stopped;
  const error_policy policy = f.processor.spec.on_error;
  if (policy == error_policy::pause) {
    pause(f, fmt::format("{} failed: {}", what, why));
    return progress::stopped;
  }
  std::optional<derived_batch> letter;
  if (policy == error_policy::dead_letter) letter = letter_for(f, block, at, outcome);
  if (outcome.failed_timer) return drop_timer(f, block.from(at, false)[0], outcome, letter);
  std::vector<derived_batch> told;
  if (letter) told.push_back(std::move(*letter));
  if (f.has_several_inputs()) told.push_back(order_entry(f, block.offset_behind(at)));
  if (!told.empty()) {
    if (!has_room_for(f, told)) return progress::no_room;
    if (!append_all(f, told)) return progress::stopped;
    if (letter && MILLRACE_FAULT(letter_twice) && !append_all(f, std::span(told).first(1)))
      return progress::stopped;
  }
  f.input().failing_offset = -1;
  uint64_t& count = policy == error_policy::skip ? f.counters.records_skipped : f.counters.records_dead;
  if (std::has_single_bit(++count))
    log::warn("processor {} a record processor={} partition={} offset={} so_far={} why=\"{}\"",
              policy == error_policy::skip ? "skipped" : "sent aside", f.processor.spec.name, f.partition(),
              at, count, why);
  move_cursor(f, block.offset_behind(at));
  return progress::all;
}

// Whether the record is to be tried again; then the flow lags until it is time.
bool shard_host::try_again_later(flow& f, int64_t at, const std::string& why) {
  if (f.input().failing_offset != at) {
    f.input().failing_offset = at;
    f.input().attempts = 0;
  }
  if (f.input().attempts >= f.processor.spec.retries) return false;
  const int64_t pause_ms = std::min(
      f.processor.spec.retry_backoff_ms << std::min<uint32_t>(f.input().attempts, 20), retry_backoff_ms_max);
  ++f.input().attempts;
  f.retry_at = runtime::reactor::current().now() + std::chrono::milliseconds(pause_ms);
  if (std::has_single_bit(++f.counters.retries))
    log::warn(
        "processor tries a record again processor={} partition={} offset={} attempt={} after_ms={} "
        "why=\"{}\"",
        f.processor.spec.name, f.partition(), at, f.input().attempts + 1, pause_ms, why);
  lag(pointer_to(f));
  return true;
}

// The record with the reason; for a timer its key and time.
derived_batch shard_host::letter_for(const flow& f, record_block& block, int64_t at,
                                     const run_outcome& outcome) {
  millrace_record dead = block.from(at, true)[0];
  std::vector<std::pair<std::string, std::string>> told{{"millrace.processor", shown_name(f.processor.spec)},
                                                        {"millrace.reason", *outcome.failure},
                                                        {"millrace.topic", f.input_topic()},
                                                        {"millrace.partition", std::to_string(f.partition())},
                                                        {"millrace.offset", std::to_string(at)}};
  if (const auto& timer = outcome.failed_timer) {
    told.emplace_back("millrace.timer", std::to_string(timer->at_ms));
    dead.key = {timer->key.data(), static_cast<int64_t>(timer->key.size())};
    dead.value = {nullptr, -1};
    dead.header_count = 0;
  }
  return assembler_.dead_letter(dead, told, static_cast<uint32_t>(f.targets.size() - 1),
                                f.processor.spec.output_compression);
}

// A failed timer is passed over: it is gone, and its record comes again.
shard_host::progress shard_host::drop_timer(flow& f, const millrace_record& at, const run_outcome& outcome,
                                            std::optional<derived_batch>& letter) {
  f.code->forget_output();
  f.state->remove_timer(0, *outcome.failed_timer);
  const auto batches = batches_of(f, std::span(&at, 1));
  if (!has_room_for(f, batches, letter ? letter->batch.size_bytes() + frame_entry_overhead_bytes : 0)) {
    f.state->drop_from(0);
    return progress::no_room;
  }
  if (!append_all(f, batches)) return progress::stopped;
  if (letter && !append_all(f, std::span(&*letter, 1))) return progress::stopped;
  f.input().failing_offset = -1;
  if (std::has_single_bit(++f.counters.timers_dropped))
    log::warn("processor dropped a timer processor={} partition={} at_ms={} so_far={} why=\"{}\"",
              f.processor.spec.name, f.partition(), outcome.failed_timer->at_ms, f.counters.timers_dropped,
              *outcome.failure);
  return progress::all;
}

// A stray pointer of the processor that just ran would most likely have hit the batches it was given.
void shard_host::check_memory(const flow& f, const record_block& block) const {
  if (block.is_intact()) return;
  log::error(
      "processor has overwritten the batch it was given; ending before it is written processor={} "
      "partition={}",
      f.processor.spec.name, f.partition());
  if (options_.crumb) options_.crumb->blame(verdict_memory);
  log::stop();
  MR_ASSERT(block.is_intact());
}

}  // namespace millrace::processors
