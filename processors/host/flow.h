// flow: one processor on one input partition: its instance, its position, its state of health.
//
//   waiting ----> running <----> lagging        waiting: an output topic is not there yet
//      |             |              |           restoring: its state is read from snapshot and changelogs
//   restoring        +---> paused <-+           running: each batch is processed in the frame it arrives in
//                                               lagging: behind; later frames catch up
//                                               paused: until resumed, for a reason that it tells
//                                               finished: a replay has come to its end
//                                               ended: a later flow, or none, has its place
//
// A flow never changes its processor: another version of it, and a resumed one, get a flow of their own,
// which begins where this one ended (shard_host::adopt).
//
// A processor with several inputs has one flow for the partitions of one number of all of them. One input is
// at work at a time; which one is next is said where records are taken (catch_up.cc), and what was taken is
// written down (inputs.cc).
//
// Invariant: what lies below the `cursor` of an input was processed, once; nothing at or above it was, and
// `state` is what the records below have made, in the order in which they were taken. shard_host moves all of
// them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/types.h"
#include "processors/host/deployment.h"
#include "processors/host/instance.h"
#include "processors/host/outbox.h"
#include "processors/host/record_block.h"
#include "processors/host/state.h"
#include "runtime/clock.h"
#include "storage/types.h"

namespace millrace::processors {

enum class flow_state : uint8_t { waiting, restoring, running, lagging, paused, finished, ended };

constexpr std::string_view name_of(flow_state state) noexcept {
  switch (state) {
    case flow_state::waiting:
      return "waiting";
    case flow_state::restoring:
      return "restoring";
    case flow_state::running:
      return "running";
    case flow_state::lagging:
      return "lagging";
    case flow_state::paused:
      return "paused";
    case flow_state::finished:
      return "finished";
    case flow_state::ended:
      return "ended";
  }
  return "?";
}

// How long records took, each a share of its call: counts by upper bound. (A few words, since there are as
// many of these as partitions; base's histogram takes 8 KiB.)
struct record_times {
  static constexpr std::array<uint64_t, 16> bounds_ns{
      100,     250,     500,       1'000,     2'500,      5'000,       10'000,        25'000,
      100'000, 500'000, 1'000'000, 5'000'000, 25'000'000, 100'000'000, 1'000'000'000, 10'000'000'000};
  // One for each bound, and one for what took longer; not cumulative.
  std::array<uint64_t, bounds_ns.size() + 1> counts{};

  void add(uint64_t ns, uint64_t records) {
    const auto at = std::ranges::lower_bound(bounds_ns, ns);
    counts[static_cast<size_t>(at - bounds_ns.begin())] += records;
  }
};

struct flow_counters {
  uint64_t records_in = 0;
  uint64_t bytes_in = 0;  // keys and values of those
  uint64_t records_out = 0;
  uint64_t bytes_out = 0;        // of the batches appended
  uint64_t busy_ns = 0;          // spent in calls
  record_times times;            // of records processed
  uint64_t failures = 0;         // of records and timers, each attempt
  uint64_t starts = 0;           // of an instance
  uint64_t records_skipped = 0;  // failed, and passed over by on_error = "skip"
  uint64_t records_dead = 0;     // failed, and sent to the dead-letter topic
  uint64_t timers_dropped = 0;   // failed, and passed over likewise
  uint64_t retries = 0;          // attempts after the first one
  uint64_t timers_fired = 0;
  uint64_t snapshots = 0;         // of its state, written
  uint64_t records_restored = 0;  // of changelogs, read at the start
  uint64_t records_missed = 0;    // removed by retention before they were processed
  uint64_t inline_calls = 0;      // in the frame of their input
  uint64_t late_calls = 0;        // in a later frame
  uint64_t stalls = 0;            // calls that held up their shard for longer than they may
  uint64_t deaths = 0;            // of processes that ran it
  uint64_t apart_calls = 0;       // on a thread of the processor; among the late ones
};

// One input of a flow.
struct flow_input {
  storage::topic_partition_id id;
  int64_t cursor = 0;

  // --- if it lies between stages: what was taken is removed, a portion at a time ---
  bool is_between_stages = false;
  bool is_trimming = false;
  uint64_t untrimmed_bytes = 0;

  // --- while lagging ---
  std::deque<slice> backlog;  // batches read, the first one holding the cursor
  record_block block;         // the first of backlog, or several, decoded
  bool has_block = false;
  bool was_at_end = false;  // when it was looked at last: it held nothing more

  // --- the record that failed last, while it is tried again ---
  int64_t failing_offset = -1;
  uint32_t attempts = 0;  // that have failed

  // --- the process that runs the flow, if one does ---
  int64_t dying_at = -1;      // the record that the last one died of
  uint32_t deaths = 0;        // at that record
  int64_t careful_until = 0;  // records below it are called for one by one

  // All of the block is behind the cursor.
  void drop_block() {
    backlog.erase(backlog.begin(), backlog.begin() + static_cast<std::ptrdiff_t>(block.batch_count()));
    has_block = false;
  }
  void drop_backlog() {
    backlog.clear();
    has_block = false;
  }
};

struct flow {
  // `ids` are its inputs by number; at least one.
  flow(deployed_ptr p, const std::vector<storage::topic_partition_id>& ids)
      : owner(std::move(p)),
        processor(*owner),
        key{owner->id, ids.front()},
        is_apart(processor.spec.isolated != isolation::none) {
    for (const storage::topic_partition_id& id : ids) {
      const std::string& topic = processor.input_topics[inputs.size()];
      flow_input& next = inputs.emplace_back();
      next.id = id;
      next.is_between_stages = is_between_stages(processor.spec, topic);
    }
  }

  const deployed_ptr owner;
  const deployed_processor& processor;
  // What it is known by: its first input.
  const storage::cursor_key key;
  std::deque<flow_input> inputs;  // by number
  size_t at_work = 0;             // the input that records are taken from now
  // With several inputs, while lagging: from this one, only records that are not younger.
  int64_t not_beyond_ms = INT64_MAX;
  // What it writes: outputs (or their outboxes) by number, then changelogs by store, the order of its inputs,
  // dead letters. Empty while waiting.
  std::vector<storage::topic_partition_id> targets;
  // By output, both; an outbox is null where records stay with the input's partition number.
  std::vector<output_route> routes;
  std::vector<std::shared_ptr<outbox>> outboxes;
  std::unique_ptr<partition_state> state;  // null without state, and while waiting
  std::unique_ptr<instance> code;          // null while waiting

  flow_state health = flow_state::waiting;
  std::string why_paused;
  flow_counters counters;
  bool has_begun = false;     // `state` is whole, and the cursors what the store has
  bool is_restoring = false;  // a coroutine reads its state
  // Ends the next call's output early; lowered when a call's batches did not fit the frame.
  uint64_t output_bytes_target = instance::call_output_bytes_target;
  uint32_t misfits = 0;  // calls in a row whose batches did not fit, though they were for one record

  runtime::time_point retry_at;  // while a failed record is tried again: not before
  uint32_t unavailable = 0;      // attempts in a row to get a process that runs it

  // --- snapshots of the state ---
  uint64_t changelog_bytes = 0;  // written, or read at the start, since the last one began
  bool is_in_snapshot = false;
  lsn written_at{0};  // the frame of the last change

  // --- apart from the shard ---
  bool is_apart = false;    // its calls run on the processor's thread
  bool is_away = false;     // one is under way there: code and state are not to be touched
  uint32_t overruns = 0;    // calls on the shard that took too long, since it was last good for a while
  uint32_t good_calls = 0;  // in a row that did not
  runtime::time_point apart_until;    // not back before
  runtime::nanoseconds apart_for{0};  // the next time it goes

  bool is_queued = false;  // while lagging: among those to catch up

  flow_input& input() { return inputs[at_work]; }
  const flow_input& input() const { return inputs[at_work]; }
  bool has_several_inputs() const { return inputs.size() > 1; }
  // Takes records from that input now, whatever the others hold.
  void turn_to(const storage::topic_partition_id& id) {
    at_work = 0;
    while (inputs[at_work].id != id) ++at_work;
    not_beyond_ms = INT64_MAX;
  }
  // Where the position of the input at work is stored.
  storage::cursor_key cursor_key() const { return {owner->id, input().id}; }
  const std::string& input_topic() const { return processor.input_topics[at_work]; }

  int32_t partition() const { return key.input.partition; }
  // Where it ends, if it is a replay. Such a flow always lags, and cuts its input into calls and its results
  // into batches by nothing but what is in them.
  std::optional<int64_t> until() const {
    const auto& ends = processor.spec.until;
    if (!ends) return std::nullopt;
    const auto at = static_cast<size_t>(partition());
    return at < ends->size() ? (*ends)[at] : 0;
  }
  bool is_live() const { return health == flow_state::running || health == flow_state::lagging; }
  size_t output_count() const { return processor.output_topics.size(); }
  size_t changelog_count() const { return processor.spec.changelogs.size(); }
  const storage::topic_partition_id& changelog(size_t store) const { return targets[output_count() + store]; }
  // Where the state's own positions are stored: next to each changelog, what the processor has written of it.
  storage::cursor_key changelog_key(size_t store) const { return {processor.state_id, changelog(store)}; }
  bool has_full_outbox() const {
    return std::ranges::any_of(outboxes, [](const auto& o) { return o && o->is_full(); });
  }
  bool has_no_backlog() const {
    return std::ranges::all_of(inputs, [](const flow_input& one) { return one.backlog.empty(); });
  }
  void drop_backlog() {
    for (flow_input& one : inputs) one.drop_backlog();
  }
};

// An output of a shadow, and the one it is to be compared with: from which offset on.
struct compared_output {
  std::string output;
  std::string shadow_topic;
  std::string live_topic;
  int64_t live_from = 0;
};

// Where a flow stands in one of its inputs.
struct input_position {
  std::string topic;
  int64_t cursor = 0;
  int64_t lag = 0;  // records
};

// What an operator sees of a flow.
struct flow_status {
  std::string processor;
  int32_t partition = 0;
  flow_state state = flow_state::waiting;
  std::string why_paused;
  int64_t cursor = 0;  // in its first input
  int64_t lag = 0;     // records, of all inputs
  std::vector<input_position> inputs;
  std::optional<int64_t> until;  // of a replay
  uint64_t state_entries = 0;
  uint64_t state_bytes = 0;
  std::optional<uint32_t> state_version;  // of the state in memory
  uint64_t outbox_bytes = 0;              // that have not arrived yet
  bool is_apart = false;
  flow_counters counters;
  std::map<std::string, double> metrics;  // what the processor counts itself
  std::vector<compared_output> compared;  // of a shadow that has begun
};

}  // namespace millrace::processors
