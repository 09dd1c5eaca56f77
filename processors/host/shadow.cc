// The part of shard_host that lets shadows begin.
//
// A shadow processes the input of another processor's flow from that flow's position on, with a copy of its
// state, beside it. The copy is made between two batches, in one step: position, state, and where the outputs
// of both part are of one moment, and durable in one frame. From then on the shadow is a flow like others,
// which happens to read the same input.
#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "processors/host/shard_host.h"
#include "runtime/reactor.h"

namespace millrace::processors {
namespace {

// For each store of `now`, and meta behind them, its number in `old`.
std::vector<std::optional<uint32_t>> sources_of(const plugin& now, const plugin& old) {
  std::vector<std::optional<uint32_t>> sources;
  for (const std::string& store : now.stores()) {
    const auto at = std::ranges::find(old.stores(), store);
    if (at == old.stores().end())
      sources.emplace_back();
    else
      sources.emplace_back(static_cast<uint32_t>(at - old.stores().begin()));
  }
  sources.emplace_back(static_cast<uint32_t>(old.stores().size()));
  return sources;
}

}  // namespace

// The flow that it is a shadow of; null if there is none.
shard_host::flow_ptr shard_host::original_of(const flow& f) const {
  for (const flow_ptr& other : by_input_.at(f.key.input))
    if (other->processor.spec.name == f.processor.spec.stands_for) return other;
  return nullptr;
}

// Whether it is known where the other flow stands. If not, wake_shadows() comes when it is.
bool shard_host::may_begin_shadow(const flow& f) const {
  const flow_ptr live = original_of(f);
  return live && live->has_begun && !live->is_away;
}

// The shadow begins where the other flow stands.
void shard_host::begin_shadow(flow& f) {
  const flow_ptr live = original_of(f);
  f.input().cursor = live->input().cursor;
  std::vector<int64_t> live_ends;
  for (size_t i = 0; i < live->output_count(); ++i)
    live_ends.push_back(store_.find(live->targets[i])->log_end().value());
  if (!f.state || !live->state) return settle_shadow(f, live_ends);
  if (!f.state->copy(*live->state, sources_of(*f.processor.code, *live->processor.code))) {
    f.state->drop_from(0);
    return pause(f, fmt::format("a copy of the state of {} takes more than state_bytes_max = {}",
                                f.processor.spec.stands_for, f.processor.spec.state_bytes_max));
  }
  f.health = flow_state::restoring;
  f.is_restoring = true;
  gate_.spawn(migrate_shadow(pointer_to(f), live->state->version().value_or(0), std::move(live_ends)));
}

// Brings the copy to the shadow's version, waits for a frame that takes it, and begins.
runtime::task<void> shard_host::migrate_shadow(flow_ptr f, uint32_t from_version,
                                               std::vector<int64_t> live_ends) {
  f->is_restoring = true;
  std::optional<std::string> why;
  const uint32_t version = f->processor.code->table().state_version;
  if (version == from_version) {
    why = co_await find_room(f);
  } else if (f->processor.code->migrates_from(from_version)) {
    why = co_await migrate(f, from_version);
  } else {
    why = fmt::format("it has version {}, and this library keeps version {}", from_version, version);
  }
  f->is_restoring = false;
  if (is_stopping_ || f->health != flow_state::restoring) co_return;
  if (why) {
    f->state->drop_from(0);
    pause(*f, fmt::format("the state of {} cannot be copied: {}", f->processor.spec.stands_for, *why));
    co_return;
  }
  settle_shadow(*f, live_ends);
}

// Position, state and marks, in the open frame.
void shard_host::settle_shadow(flow& f, const std::vector<int64_t>& live_ends) {
  const flow_ptr live = original_of(f);
  if (!live || live->targets.size() < live_ends.size())
    return pause(f, fmt::format("processor {} is gone", f.processor.spec.stands_for));
  const int64_t begins_at = f.input().cursor;
  move_cursor(f, begins_at);
  for (size_t i = 0; i < f.output_count(); ++i) {
    const auto& outputs = live->processor.code->outputs();
    const auto at = std::ranges::find(outputs, f.processor.code->outputs()[i]);
    const auto number = static_cast<size_t>(at - outputs.begin());
    if (at == outputs.end() || number >= live_ends.size() || live->processor.has_outbox(number)) continue;
    store_.set_cursor(compared_mark(f, i, live->targets[number]), live_ends[number]);
  }
  begin_processing(
      f, f.state ? std::optional(std::to_string(f.processor.code->table().state_version)) : std::nullopt);
}

// A flow has begun, or a call of it has come back: its shadows may begin.
void shard_host::wake_shadows(const flow& f) {
  const auto at = by_input_.find(f.key.input);
  if (at == by_input_.end()) return;
  for (const flow_ptr& other : std::vector(at->second))
    if (other->processor.spec.is_shadow && other->processor.spec.stands_for == f.processor.spec.name &&
        other->health == flow_state::waiting)
      try_start(*other);
}

// Where the outputs are compared from; nothing before the shadow has begun.
std::vector<compared_output> shard_host::compared(const flow& f) const {
  std::vector<compared_output> all;
  const flow_ptr live = original_of(f);
  if (!live) return all;
  for (size_t i = 0; i < f.output_count(); ++i) {
    const std::string& name = f.processor.code->outputs()[i];
    const auto to = live->processor.spec.outputs.find(name);
    if (to == live->processor.spec.outputs.end()) continue;
    const auto there = opened_.find({to->second, f.partition()});
    if (there == opened_.end()) continue;
    if (const auto from = store_.cursor(compared_mark(f, i, there->second)))
      all.push_back({name, f.processor.output_topics[i], to->second, *from});
  }
  return all;
}

}  // namespace millrace::processors
