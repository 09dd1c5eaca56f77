#include "processors/host/shard_host.h"

#include <algorithm>
#include <chrono>

#include "base/assert.h"
#include "base/log.h"
#include "runtime/reactor.h"

namespace millrace::processors {

shard_host::shard_host(deployment what, storage::shard_store& store, host_options options)
    : what_(std::move(what)), store_(store), options_(std::move(options)), inbox_(store) {}

shard_host::~shard_host() {
  MR_ASSERT(!is_started_);
}

void shard_host::start() {
  MR_ASSERT(!is_started_);
  is_started_ = true;
  store_.set_append_hook([this](storage::partition_log& log, const slice& stored,
                                const protocol::checked_batch& batch) { on_append(log, stored, batch); });
  store_.set_retention_hold([this](const storage::partition_log& log) { return needed_from(log.id()); });
  gate_.spawn(catch_up_loop());
  store_.for_each([this](storage::partition_log& log) { note_opened(log); });
  start_waiting(std::nullopt);
}

runtime::task<void> shard_host::close() {
  if (!is_started_) co_return;
  is_stopping_ = true;
  work_.notify_all();
  for (const auto& [id, o] : outboxes_) o->stop();
  co_await gate_.close();
  co_await inbox_.close();
  threads_.clear();
  store_.set_append_hook({});
  store_.set_retention_hold({});
  is_started_ = false;
}

// ---- The life of a flow -------------------------------------------------------------------------------

void shard_host::partition_opened(const storage::partition_log& log) {
  note_opened(log);
  start_waiting(log.id().partition);
}

void shard_host::note_opened(const storage::partition_log& log) {
  const storage::topic_partition_id id = log.id();
  opened_[{log.topic_name(), id.partition}] = id;
  for (const deployed_ptr& p : what_.processors()) {
    if (!reads(p->spec, log.topic_name()) || p->is_validator()) continue;
    const auto here = by_input_.find(id);
    const auto is_of_p = [&](const flow_ptr& f) { return f->key.processor == p->id; };
    if (here != by_input_.end() && std::ranges::any_of(here->second, is_of_p)) continue;
    std::vector<storage::topic_partition_id> inputs;
    for (const std::string& topic : p->input_topics)
      if (const auto there = opened_.find({topic, id.partition}); there != opened_.end())
        inputs.push_back(there->second);
    if (inputs.size() < p->input_topics.size()) continue;  // it begins with the last of them
    const auto f = std::make_shared<flow>(p, inputs);
    for (const storage::topic_partition_id& input : inputs) by_input_[input].push_back(f);
    choose_start(*f);
  }
}

// A position that the present moment decides is noted now, and not when all that the flow needs is there: no
// record may slip through in between. Records appended from here on are in this frame, or in later ones.
void shard_host::choose_start(flow& f) {
  using enum start_position::kind;
  const start_position& start = f.processor.spec.start;
  if (has_positions(f) || (start.from != latest && start.from != offset)) return;
  for (f.at_work = 0; f.at_work < f.inputs.size(); ++f.at_work) {
    const storage::partition_log* input = store_.find(f.input().id);
    MR_ASSERT(input);
    const int64_t end = input->log_end().value();
    move_cursor(f, start.from == latest ? end : std::clamp(start.at, input->log_start().value(), end));
  }
  f.at_work = 0;
}

// The same for a position that has to be looked for; then the flow may start.
runtime::task<void> shard_host::find_start(flow_ptr f) {
  f->is_restoring = true;
  std::vector<int64_t> starts;
  for (const flow_input& one : f->inputs) {
    const result<int64_t> start = co_await offset_of_start(one.id, f->processor.spec.start.at);
    if (is_stopping_ || f->health != flow_state::restoring) break;
    if (!start) {
      pause(*f, fmt::format("where it starts cannot be found: {}", to_string(start.error())));
      break;
    }
    starts.push_back(*start);
  }
  f->is_restoring = false;
  if (is_stopping_ || f->health != flow_state::restoring) co_return;
  for (f->at_work = 0; f->at_work < f->inputs.size(); ++f->at_work) move_cursor(*f, starts[f->at_work]);
  f->at_work = 0;
  try_start(*f);
}

// The first record that is not older than that; what comes meanwhile is not passed over.
runtime::task<result<int64_t>> shard_host::offset_of_start(storage::topic_partition_id id, int64_t at_ms) {
  storage::partition_log* input = store_.find(id);
  if (!input) co_return fail(errc::cancelled);
  const int64_t end = input->log_end().value();
  // Only what is durable is found.
  while (input && input->high_watermark().value() < end && !is_stopping_ && !store_.read_only_reason()) {
    co_await runtime::reactor::current().sleep(std::chrono::milliseconds(1));
    input = store_.find(id);
  }
  if (!input) co_return fail(errc::cancelled);
  const auto found = co_await store_.find_timestamp(*input, at_ms, storage::read_bound::high_watermark);
  if (!found) co_return fail(found.error());
  co_return *found ? (*found)->offset.value() : end;
}

// Starts what only waited for an input or output that is there now.
void shard_host::start_waiting(std::optional<int32_t> partition) {
  start_outboxes();
  for (const flow_ptr& f : flows())
    if (f->health == flow_state::waiting && (!partition || f->partition() == *partition)) try_start(*f);
}

void shard_host::partition_removed(const storage::topic_partition_id& id) {
  std::erase_if(opened_, [&](const auto& entry) { return entry.second == id; });
  forget_marks(id);
  if (const auto at = by_input_.find(id); at != by_input_.end()) {
    const std::vector<flow_ptr> ending = std::move(at->second);
    by_input_.erase(at);
    for (const flow_ptr& f : ending) {
      pause(*f, "its input was deleted");
      forget_positions(*f);
      for (size_t i = 0; f->state && i < f->changelog_count(); ++i) store_.remove_cursor(f->changelog_key(i));
      if (f->state && is_started_ && !is_stopping_) gate_.spawn(remove_snapshot(f->key));
      leave_inputs(f);
    }
  }
  for (const flow_ptr& f : flows())
    if (std::ranges::find(f->targets, id) != f->targets.end()) pause(*f, "an output topic was deleted");
  inbox_.forget(id);
}

// Starts the flow if what it writes to is there.
void shard_host::try_start(flow& f) {
  if (is_stopping_) return;  // calls that were away may come back still, and wake shadows
  if (!has_positions(f)) forget_positions(f);
  for (flow_input& one : f.inputs)
    if (const auto stored = store_.cursor({f.owner->id, one.id})) one.cursor = *stored;
  std::vector<storage::topic_partition_id> targets;
  for (const std::string& topic : f.processor.target_topics()) {
    const auto at = opened_.find({topic, f.partition()});
    if (at == opened_.end()) return;
    targets.push_back(at->second);
  }
  const storage::partition_log* input = store_.find(f.key.input);
  MR_ASSERT(input);
  f.targets = std::move(targets);
  if (f.processor.is_held) return hold(f);
  if (!find_routes(f)) return;
  if (const auto until = f.until(); until && store_.cursor(f.key) && f.input().cursor >= *until)
    return finish(f);
  if (!f.processor.quarantined.empty()) return pause(f, f.processor.quarantined);
  if (auto why = unfit_inputs(f)) return pause(f, std::move(*why));
  if (auto why = unfit_target(f, *input)) return pause(f, std::move(*why));
  if (f.processor.spec.start.from == start_position::kind::time && !has_positions(f)) {
    f.health = flow_state::restoring;
    f.is_restoring = true;  // from now on, not from when the coroutine begins: adopt() waits for it
    gate_.spawn(find_start(pointer_to(f)));
    return;
  }
  const bool is_new_shadow = f.processor.spec.is_shadow && !store_.cursor(f.key);
  if (is_new_shadow && !may_begin_shadow(f)) return;
  if (f.changelog_count() > 0 && !f.state)
    f.state = std::make_unique<partition_state>(static_cast<uint32_t>(f.processor.code->stores().size()),
                                                f.processor.memory);
  auto made = make_instance(f);
  if (!made) return pause(f, made.error().message);
  f.code = std::move(*made);
  ++f.counters.starts;
  if (is_new_shadow) return begin_shadow(f);
  if (!f.state) return begin_processing(f, std::nullopt);
  if (f.has_begun) {  // another flow has left it its state
    if (auto why = unfit_state(f, true)) return pause(f, std::move(*why));
    return begin_processing(f, std::nullopt);
  }
  f.health = flow_state::restoring;
  f.is_restoring = true;
  gate_.spawn(restore(pointer_to(f)));
}

// The flow has what it needs: from its position on it processes.
void shard_host::begin_processing(flow& f, const std::optional<std::string>& new_state_version) {
  if (auto why = foreign_output(f)) return pause(f, std::move(*why));
  for (f.at_work = 0; f.at_work < f.inputs.size(); ++f.at_work) {
    const storage::partition_log* input = store_.find(f.input().id);
    MR_ASSERT(input);
    const int64_t end = input->log_end().value();
    if (const auto stored = store_.cursor(f.cursor_key())) {
      f.input().cursor = *stored;
      if (*stored > end) {
        f.at_work = 0;
        return pause(
            f, fmt::format("its position {} is behind the end of its input, {}: part of the input was lost",
                           *stored, end));
      }
    } else {
      f.input().cursor = input->log_start().value();
    }
  }
  f.at_work = 0;
  if (new_state_version) {
    // State begins: its version is durable with the position it begins at.
    f.state->note_version(*new_state_version);
    const millrace_record now{
        f.input().cursor, runtime::reactor::current().wall_clock_ms(), {}, {}, nullptr, 0, 0};
    if (!append_all(f, batches_of(f, std::span(&now, 1)))) return;
  }
  f.has_begun = true;
  heed_suspicions(f);
  // From here on the positions are durable with whatever comes after them.
  std::string positions;
  std::string ends;
  for (f.at_work = 0; f.at_work < f.inputs.size(); ++f.at_work) {
    if (!store_.cursor(f.cursor_key())) move_cursor(f, f.input().cursor);
    const char* comma = f.at_work == 0 ? "" : ",";
    positions += fmt::format("{}{}", comma, f.input().cursor);
    ends += fmt::format("{}{}", comma, store_.find(f.input().id)->log_end().value());
  }
  f.at_work = 0;
  mark_outputs(f);
  log::info(
      "processor started processor={} version={} partition={} position={} input_end={}{}",
      f.processor.spec.name, f.processor.code->version(), f.partition(), positions, ends,
      f.state ? fmt::format(" state_entries={} state_bytes={}", f.state->entries(), f.state->bytes()) : "");
  settle(f);
  wake_shadows(f);
}

// Why a flow cannot keep its promise with what it writes to; nothing if it can.
std::optional<std::string> shard_host::unfit_target(const flow& f,
                                                    const storage::partition_log& input) const {
  for (const storage::topic_partition_id& id : f.targets) {
    const storage::partition_log* output = store_.find(id);
    if (!output) return fmt::format("output partition {} is not on the shard of its input", id.partition);
    if (output->config().durability != input.config().durability)
      return fmt::format("input {} has durability \"{}\" and output {} \"{}\"; they must be equal",
                         input.topic_name(), storage::name_of(input.config().durability),
                         output->topic_name(), storage::name_of(output->config().durability));
  }
  return std::nullopt;
}

void shard_host::settle(flow& f) {
  const storage::partition_log* input = store_.find(f.input().id);
  MR_ASSERT(input);
  if (const auto until = f.until()) {
    if (f.input().cursor >= *until) return finish(f);
    if (f.input().cursor >= input->log_end().value())
      return pause(
          f, fmt::format("its input ends at offset {}, before offset {} that it was to reach: part of it "
                         "was lost",
                         f.input().cursor, *until));
    return lag(pointer_to(f));
  }
  const bool has_all = std::ranges::all_of(f.inputs, [&](const flow_input& one) {
    const storage::partition_log* log = store_.find(one.id);
    MR_ASSERT(log);
    return one.cursor == log->log_end().value();
  });
  if (has_all) {
    f.health = flow_state::running;
    f.drop_backlog();
    come_back(f);
  } else {
    lag(pointer_to(f));
  }
}

void shard_host::lag(const flow_ptr& f) {
  f->health = flow_state::lagging;
  if (f->is_queued || is_stopping_) return;
  f->is_queued = true;
  if (f->is_apart) {
    gate_.spawn(work_apart(f));
    return;
  }
  queue_.push_back(f);
  work_.notify_all();
}

void shard_host::pause(flow& f, std::string why) {
  if (f.health == flow_state::paused) return;
  log::error("processor paused processor={} partition={} position={} why=\"{}\"", f.processor.spec.name,
             f.partition(), f.input().cursor, why);
  f.health = flow_state::paused;
  f.why_paused = std::move(why);
  f.drop_backlog();
}

// A replay has come to its end: its topics and its position stay, what it took in memory does not.
void shard_host::finish(flow& f) {
  log::info("replay finished processor={} partition={} position={} records={}", f.processor.spec.name,
            f.partition(), f.input().cursor, f.counters.records_in);
  f.health = flow_state::finished;
  f.drop_backlog();
  f.code = nullptr;
  f.state = nullptr;
}

// Paused by its operator, which is nothing to be alarmed about.
void shard_host::hold(flow& f) {
  log::info("processor is held by its operator processor={} partition={} position={}", f.processor.spec.name,
            f.partition(), f.input().cursor);
  f.health = flow_state::paused;
  f.why_paused = "its operator has paused it";
  f.drop_backlog();
}

shard_host::flow_ptr shard_host::pointer_to(const flow& f) const {
  for (const flow_ptr& p : by_input_.at(f.key.input))
    if (p.get() == &f) return p;
  MR_ASSERT(!"the flow is known");
  return nullptr;
}

std::optional<offset> shard_host::needed_from(const storage::topic_partition_id& input) const {
  const auto at = by_input_.find(input);
  if (at == by_input_.end()) return std::nullopt;
  std::optional<offset> lowest;
  for (const flow_ptr& f : at->second) {
    if (f->health == flow_state::finished) continue;
    const auto one = std::ranges::find(f->inputs, input, &flow_input::id);
    const offset cursor(store_.cursor({f->owner->id, input}).value_or(one->cursor));
    if (!lowest || cursor < *lowest) lowest = cursor;
  }
  return lowest;
}

std::vector<flow_status> shard_host::status() const {
  std::vector<flow_status> all;
  for (const flow_ptr& f : flows()) {
    flow_status s;
    s.processor = f->processor.spec.name;
    s.partition = f->partition();
    s.state = f->health;
    s.why_paused = f->why_paused;
    for (size_t i = 0; i < f->inputs.size(); ++i) {
      const flow_input& one = f->inputs[i];
      const storage::partition_log* log = store_.find(one.id);
      const int64_t end = f->until().value_or(log ? log->log_end().value() : one.cursor);
      s.inputs.push_back({f->processor.input_topics[i], one.cursor, std::max<int64_t>(end - one.cursor, 0)});
      s.lag += s.inputs.back().lag;
    }
    s.cursor = s.inputs.front().cursor;
    s.until = f->until();
    s.is_apart = f->is_apart;
    s.counters = f->counters;
    if (f->processor.spec.is_shadow) s.compared = compared(*f);
    for (const auto& o : f->outboxes)
      if (o) s.outbox_bytes += o->waiting_bytes();
    if (!f->is_away) {
      if (f->state) {
        s.state_entries = f->state->entries();
        s.state_bytes = f->state->bytes();
        s.state_version = f->state->version();
      }
      if (f->code) s.metrics = f->code->metrics();
    }
    all.push_back(std::move(s));
  }
  return all;
}

// ---- Inline --------------------------------------------------------------------------------------------

void shard_host::on_append(storage::partition_log& log, const slice& stored,
                           const protocol::checked_batch& batch) {
  if (is_draining_) touched_.push_back(stored);
  if (!by_input_.contains(log.id())) return;
  passing_.push_back({log.id(), stored, batch.records});
  // Batches derived while others pass wait for their turn: chains go level by level, not call in call.
  if (!is_draining_) drain();
}

void shard_host::drain() {
  is_draining_ = true;
  while (!passing_.empty()) {
    const passing_batch next = std::move(passing_.front());
    passing_.pop_front();
    offer(next);
  }
  is_draining_ = false;
  for (const slice& derived : touched_)
    if (!protocol::has_valid_crc(derived)) {
      log::error("a processor has overwritten memory of the broker; ending before the frame is written");
      if (options_.crumb) options_.crumb->blame(verdict_memory);
      log::stop();
      MR_ASSERT(protocol::has_valid_crc(derived));
    }
  touched_.clear();
}

void shard_host::offer(const passing_batch& passing) {
  const auto at = by_input_.find(passing.at);
  MR_ASSERT(at != by_input_.end());
  const auto base_offset = protocol::batch_header::load(passing.stored.data()).base_offset;
  bool is_decoded = false;
  for (const flow_ptr& f : at->second) {
    if (f->health != flow_state::running) continue;
    f->turn_to(passing.at);
    MR_ASSERT(f->input().cursor == base_offset);
    if (f->is_apart || is_turn_over()) {
      lag(f);
      continue;
    }
    if (!is_decoded) {
      const auto filled = inline_block_.fill(passing.stored, passing.plain);
      MR_ASSERT(filled);  // it was checked before it was stored
      is_decoded = true;
    }
    if (inline_block_.plain_bytes() > inline_bytes_max) f->is_apart = true;  // until it has caught up
    if (f->is_apart || advance(*f, inline_block_, UINT64_MAX, false) != progress::all) {
      if (f->health == flow_state::running) lag(f);
    }
  }
}

}  // namespace millrace::processors
