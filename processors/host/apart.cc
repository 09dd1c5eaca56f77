// The part of shard_host for flows that run apart: their calls do not hold up the shard.
//
// A flow apart always lags, if only by a moment. A coroutine of its own reads from its position, hands a
// portion to the processor's thread, and appends what comes of it to the frame that is open then, with the
// position: conclude() is the same as for everybody. While the call is under way the shard leaves code and
// state alone (is_away). The flow may have paused or ended by the time it returns: then nothing of the call
// counts, and what it changed in the state is taken back.
#include <algorithm>
#include <bit>
#include <chrono>

#include "base/log.h"
#include "processors/host/shard_host.h"
#include "runtime/reactor.h"
#include "storage/fault.h"

namespace millrace::processors {
namespace {

constexpr auto retry_after = std::chrono::milliseconds(200);
constexpr auto nothing_done_pause = std::chrono::milliseconds(1);
constexpr auto waiting_pause = std::chrono::milliseconds(20);
constexpr auto apart_max = std::chrono::minutes(10);
// A process that has died is started again after a pause that doubles; so many deaths at a record are enough.
constexpr auto restart_pause = std::chrono::milliseconds(10);
constexpr auto restart_pause_max = std::chrono::seconds(10);
constexpr uint32_t deaths_max = 3;
// More than are in one call.
constexpr int64_t careful_records = 10'000;

}  // namespace

bool shard_host::is_turn_over() const {
  return options_.turn_budget.count() > 0 && turn_began_ == runtime::reactor::current().now() &&
         turn_used_ >= options_.turn_budget;
}

// It has held up its shard too often.
void shard_host::go_apart(flow& f) {
  f.apart_for = std::clamp<runtime::nanoseconds>(2 * f.apart_for, options_.apart_min, apart_max);
  f.apart_until = runtime::reactor::current().now() + f.apart_for;
  f.is_apart = true;
  f.good_calls = 0;
  log::warn(
      "processor is too slow for its shard and goes on a thread of its own processor={} partition={} "
      "overruns={} seconds={}",
      f.processor.spec.name, f.partition(), f.overruns,
      std::chrono::duration_cast<std::chrono::seconds>(f.apart_for).count());
}

// The last broker was killed in this flow, perhaps because of it. Apart, its input is durable before it is
// called, so if the record does it again, it is known by its offset, whatever comes from clients; and if that
// has happened before, what was in one call with it is called for one by one.
void shard_host::heed_suspicions(flow& f) {
  for (const suspicion& s : f.processor.suspicions) {
    const auto topic = std::ranges::find(f.processor.input_topics, s.topic);
    if (s.partition != f.partition() || topic == f.processor.input_topics.end()) continue;
    flow_input& one = f.inputs[static_cast<size_t>(topic - f.processor.input_topics.begin())];
    const storage::partition_log* input = store_.find(one.id);
    if (!input || one.cursor > s.offset || f.processor.code->is_elsewhere()) continue;
    f.is_apart = true;
    f.apart_until = runtime::reactor::current().now() + options_.apart_min;
    if (s.times > 1) one.careful_until = std::min(input->log_end().value(), s.offset + careful_records);
    log::warn(
        "the last broker was killed in this processor, which goes on a thread of its own processor={} "
        "partition={} offset={} times={}",
        f.processor.spec.name, f.partition(), s.offset, s.times);
  }
}

// A flow that has caught up goes on inline if it was apart for a large batch only, or has been for long
// enough: if it is still slow, it is soon apart again, and for longer.
void shard_host::come_back(flow& f) {
  if (!f.is_apart || f.processor.spec.isolated != isolation::none) return;
  if (runtime::reactor::current().now() < f.apart_until) return;
  f.is_apart = false;
  f.overruns = 0;
}

processor_thread& shard_host::thread_of(const flow& f) {
  std::unique_ptr<processor_thread>& there = threads_[f.processor.spec.name];
  if (!there)
    there = std::make_unique<processor_thread>(
        "p-" + f.processor.spec.name, options_.has_threads,
        options_.crumb_of_thread ? options_.crumb_of_thread() : nullptr, options_.deadline);
  return *there;
}

runtime::task<void> shard_host::work_apart(flow_ptr f) {
  uint64_t since_commit = 0;
  while (!is_stopping_ && f->health == flow_state::lagging && f->is_apart) {
    const uint64_t done = co_await catch_up_apart(f);
    if (done == 0 && f->health == flow_state::lagging && !is_stopping_) {
      const bool has_to_wait = f->retry_at > runtime::reactor::current().now();
      co_await runtime::reactor::current().sleep(has_to_wait ? waiting_pause : nothing_done_pause);
    }
    since_commit += done;
    const storage::partition_log* input = store_.find(f->key.input);
    if (since_commit < round_bytes || !input) continue;
    since_commit = 0;
    const lsn touched = store_.open_lsn(*input);
    const auto durable = co_await store_.wait_durable(touched);
    if (!durable) co_return;  // read-only until restart
  }
  f->is_queued = false;
  if (f->health == flow_state::lagging) lag(f);
}

// One call; returns about how many bytes went in.
runtime::task<uint64_t> shard_host::catch_up_apart(flow_ptr f) {
  if (f->retry_at > runtime::reactor::current().now()) co_return 0;
  const bool has_more = co_await has_records(f);
  if (!has_more || !turn_to_oldest(*f)) co_return 0;
  auto records = next_records(*f, f->input().block, f->until() ? UINT64_MAX : portion_bytes);
  if (!records) co_return 0;
  if (f->input().cursor < f->input().careful_until && !records->empty()) records = records->first(1);
  uint64_t done = protocol::batch_header_bytes;
  if (!records->empty()) {
    f->is_away = true;
    const run_outcome outcome = co_await run_apart(f, *records);
    const auto admitted = co_await store_.admit(portion_bytes);
    f->is_away = false;
    if (f->health != flow_state::lagging || !admitted) {
      if (f->state && !MILLRACE_FAULT(ended_call_counts)) f->state->drop_from(0);
      f->code->forget_output();
      if (!admitted) f->retry_at = runtime::reactor::current().now() + retry_after;
      wake_shadows(*f);
      co_return 0;
    }
    // From here to the end: the append section.
    is_draining_ = true;
    const progress p = conclude(*f, f->input().block, *records, outcome, true, done);
    drain();
    wake_shadows(*f);
    if (p == progress::no_room || p == progress::stopped) co_return 0;
  }
  if (f->health != flow_state::lagging) co_return done;
  if (f->input().cursor >= f->input().block.next_offset()) {
    f->input().drop_block();
  }
  if (f->has_no_backlog()) settle(*f);
  co_return done;
}

runtime::task<run_outcome> shard_host::run_apart(flow_ptr f, std::span<const millrace_record> records) {
  using clock = std::chrono::steady_clock;
  processor_thread& thread = thread_of(*f);
  const uint64_t output_bytes = output_bytes_for(*f);
  run_outcome outcome;
  std::chrono::nanoseconds took{};
  auto call = [&] {
    // Code in a process of its own harms nobody here.
    breadcrumb* crumb = f->processor.code->is_elsewhere() ? nullptr : thread.crumb();
    const in_call noted(crumb, f->processor.spec.name, f->processor.code->content_hash(), f->input_topic(),
                        f->partition());
    f->code->set_breadcrumb(crumb);
    const auto began = clock::now();
    outcome = f->code->run(records, output_bytes);
    took = clock::now() - began;
  };
  co_await thread.run(std::move(call));
  note_time(*f, took, outcome);
  ++f->counters.apart_calls;
  co_return outcome;
}

result<std::unique_ptr<instance>> shard_host::make_instance(flow& f) {
  const in_call noted(options_.crumb, f.processor.spec.name, f.processor.code->content_hash(),
                      f.input_topic(), f.partition());
  auto made = instance::create(f.processor, f.partition(), f.state.get(),
                               f.processor.code->is_elsewhere() ? thread_of(f).process() : nullptr);
  if (made) (*made)->set_routes(f.routes);
  return made;
}

// The call for `records` came to nothing, because what runs the processor failed. It is made again, after a
// pause, one record at a time until it is behind those records; a record that a process has died of several
// times is dealt with like one that fails.
shard_host::progress shard_host::on_trouble(flow& f, record_block& block,
                                            std::span<const millrace_record> records,
                                            const run_outcome& outcome) {
  if (f.state) f.state->drop_from(0);
  f.code->forget_output();
  if (outcome.trouble == trouble_kind::unfit) {
    pause(f, *outcome.failure);
    return progress::stopped;
  }
  const auto now = runtime::reactor::current().now();
  if (outcome.trouble == trouble_kind::unavailable) {
    if (std::has_single_bit(++f.unavailable))
      log::error("processor has no process to run in processor={} partition={} attempts={} why=\"{}\"",
                 f.processor.spec.name, f.partition(), f.unavailable, *outcome.failure);
    f.retry_at = now + std::min<runtime::nanoseconds>(retry_after * f.unavailable, restart_pause_max);
    return progress::stopped;
  }
  f.unavailable = 0;
  const int64_t at = records[std::min<size_t>(outcome.at_work, records.size() - 1)].offset;
  if (f.input().dying_at != at) f.input().deaths = 0;
  f.input().dying_at = at;
  ++f.input().deaths;
  ++f.counters.deaths;
  f.input().careful_until = std::max(f.input().careful_until, records.back().offset + 1);
  log::warn("process of a processor is lost processor={} partition={} offset={} times={} why=\"{}\"",
            f.processor.spec.name, f.partition(), at, f.input().deaths, *outcome.failure);
  if (records.size() == 1 && f.input().deaths >= deaths_max) {
    run_outcome failed;
    failed.failure = fmt::format("{}, {} times", *outcome.failure, f.input().deaths);
    return on_failure(f, block, at, failed);
  }
  f.retry_at = now + std::min<runtime::nanoseconds>(restart_pause * (1 << std::min(f.input().deaths, 20u)),
                                                    restart_pause_max);
  return progress::stopped;
}

}  // namespace millrace::processors
