// The part of shard_host that knows that a flow may have several inputs: what they must be to each other,
// whose records come next, and how the order in which they were taken is kept.
//
// A flow that has caught up takes batches as they arrive. One that lags takes the oldest record, by
// timestamp, of all that its inputs hold, as Kafka Streams does; an input that has nothing more is not waited
// for. Either way the order is a matter of the moment, so it is written down: the topic `<processor>-order`
// gets, in the frame of the results, one record for each run of records of one input: its name, and the
// offsets of the first of them and of the first behind them. What the processor has made follows from its
// inputs and that topic alone.
#include <algorithm>

#include "processors/host/shard_host.h"

namespace millrace::processors {
namespace {

// Its first record from the cursor on; nothing if there is none in the block.
std::optional<int64_t> next_timestamp(flow_input& one) {
  const auto next = one.block.from(one.cursor, false, 1);
  return next.empty() ? std::nullopt : std::optional(next.front().timestamp_ms);
}

}  // namespace

// Each flow once.
std::vector<shard_host::flow_ptr> shard_host::flows() const {
  std::vector<flow_ptr> all;
  for (const auto& [input, there] : by_input_)
    for (const flow_ptr& f : there)
      if (f->key.input == input) all.push_back(f);
  return all;
}

// The positions of its inputs are there from the moment it begins, or none is; if one of the inputs is a new
// topic, those of the others are of no use.
bool shard_host::has_positions(const flow& f) const {
  return std::ranges::all_of(
      f.inputs, [&](const flow_input& one) { return store_.cursor({f.owner->id, one.id}).has_value(); });
}

void shard_host::forget_positions(const flow& f) {
  for (const flow_input& one : f.inputs)
    if (const storage::cursor_key key{f.owner->id, one.id}; store_.cursor(key)) store_.remove_cursor(key);
}

// Nothing comes to the flow any more.
void shard_host::leave_inputs(const flow_ptr& f) {
  for (const flow_input& one : f->inputs) {
    const auto there = by_input_.find(one.id);
    if (there == by_input_.end()) continue;
    std::erase(there->second, f);
    if (there->second.empty()) by_input_.erase(there);
  }
}

// Why partitions of one number of its inputs do not belong together; nothing if they do.
std::optional<std::string> shard_host::unfit_inputs(const flow& f) const {
  const std::vector<std::string>& topics = f.processor.input_topics;
  const storage::partition_log* first = store_.find(f.key.input);
  MR_ASSERT(first);
  for (size_t i = 1; i < topics.size(); ++i) {
    const storage::partition_log* other = store_.find(f.inputs[i].id);
    MR_ASSERT(other);
    if (other->config().durability != first->config().durability)
      return fmt::format("its inputs {} and {} have durability \"{}\" and \"{}\"; they must be equal",
                         topics[0], topics[i], storage::name_of(first->config().durability),
                         storage::name_of(other->config().durability));
    if (!options_.others) continue;
    const auto its = options_.others->find(topics[0]);
    const auto others = options_.others->find(topics[i]);
    if (its && others && its->partitions != others->partitions)
      return fmt::format(
          "its inputs {} and {} have {} and {} partitions; with as many in both, records of one key "
          "meet",
          topics[0], topics[i], its->partitions, others->partitions);
  }
  return std::nullopt;
}

// ---- Their order -----------------------------------------------------------------------------------------

// A record of `<processor>-order`: from the position of the input at work to `until`.
derived_batch shard_host::order_entry(const flow& f, int64_t until) {
  return batch_assembler::note(f.processor.code->inputs()[f.at_work],
                               fmt::format("{} {}", f.input().cursor, until),
                               static_cast<uint32_t>(f.output_count() + f.changelog_count()));
}

// Whether the next record is younger than one that another input holds.
bool shard_host::is_others_turn(flow& f, record_block& block) const {
  if (f.not_beyond_ms == INT64_MAX) return false;
  const auto next = block.from(f.input().cursor, false, 1);
  return !next.empty() && next.front().timestamp_ms > f.not_beyond_ms;
}

// Puts the input with the oldest next record to work; of equally old ones the first input's, wherever batches
// begin and end. False if an input that holds more has to be read first, or if nothing is left, or the flow
// has paused.
bool shard_host::turn_to_oldest(flow& f) {
  if (!f.has_several_inputs()) return !f.input().backlog.empty() && has_next_block(f);
  std::optional<int64_t> oldest;
  // What inputs before and behind the chosen one hold.
  int64_t before = INT64_MAX;
  int64_t behind = INT64_MAX;
  size_t chosen = 0;
  for (f.at_work = 0; f.at_work < f.inputs.size(); ++f.at_work) {
    flow_input& one = f.input();
    const storage::partition_log* log = store_.find(one.id);
    const bool holds_nothing = one.was_at_end || (log && one.cursor == log->log_end().value());
    if (one.backlog.empty() && holds_nothing) continue;
    if (one.backlog.empty() || !has_next_block(f)) {
      f.at_work = 0;
      return false;
    }
    // What holds no records (any more) is passed over at once.
    const int64_t at = next_timestamp(one).value_or(INT64_MIN);
    if (!oldest || at < *oldest) {
      before = std::min({before, behind, oldest.value_or(INT64_MAX)});
      behind = INT64_MAX;
      oldest = at;
      chosen = f.at_work;
    } else {
      behind = std::min(behind, at);
    }
  }
  f.at_work = chosen;
  f.not_beyond_ms = std::min(before == INT64_MAX ? INT64_MAX : before - 1, behind);
  return oldest.has_value();
}

}  // namespace millrace::processors
