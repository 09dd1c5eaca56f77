// The part of shard_host that goes over to another set of processors while records keep coming.
//
// Nothing here runs within an append section, so every flow is between two batches. A flow ends first: from
// then on nobody calls its processor or moves its position. What it still has under way elsewhere (a
// snapshot, a read of its state, a call on a helper thread) is waited for; what is appended meanwhile the
// next flow finds when it catches up.
#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "processors/host/shard_host.h"
#include "runtime/reactor.h"

namespace millrace::processors {
namespace {

constexpr auto busy_interval = std::chrono::milliseconds(1);

bool is_busy(const flow& f) {
  return f.is_away || f.is_in_snapshot || f.is_restoring;
}

// Whether what the old version keeps in memory is what the new one would restore.
bool fits(const deployed_processor& old, const deployed_processor& now) {
  return now.code->is_stateful() && old.code->stores() == now.code->stores() &&
         old.code->table().state_version == now.code->table().state_version &&
         old.spec.changelogs == now.spec.changelogs;
}

}  // namespace

runtime::task<void> shard_host::adopt(deployment now) {
  std::vector<flow_ptr> leaving;
  for (const flow_ptr& f : flows())
    if (now.find(f->processor.spec.name) != f->owner) leaving.push_back(f);
  for (const flow_ptr& f : leaving) {
    f->health = flow_state::ended;
    f->drop_backlog();
  }
  what_ = std::move(now);
  for (const flow_ptr& f : leaving)
    while (is_busy(*f) && !is_stopping_) co_await runtime::reactor::current().sleep(busy_interval);
  if (!is_started_ || is_stopping_) co_return;
  for (const flow_ptr& f : leaving) {
    const auto at = by_input_.find(f->key.input);
    const bool is_there = at != by_input_.end() && std::ranges::find(at->second, f) != at->second.end();
    if (!is_there) continue;  // an input was deleted meanwhile
    const deployed_ptr next = what_.find(f->processor.spec.name);
    if (next && next->input_topics == f->processor.input_topics && !next->is_validator()) {
      const flow_ptr heir = heir_of(*f, next);
      for (const flow_input& one : f->inputs) std::ranges::replace(by_input_.at(one.id), f, heir);
      continue;
    }
    log::info("processor ended processor={} partition={} position={}", f->processor.spec.name, f->partition(),
              f->input().cursor);
    leave_inputs(f);
  }
  // The next flow of theirs that goes apart gets another one. (One whose input was deleted may be on it
  // still.)
  for (const flow_ptr& f : leaving)
    if (const auto at = threads_.find(f->processor.spec.name); at != threads_.end() && at->second->is_idle())
      threads_.erase(at);
  for (const deployed_ptr& p : what_.processors())
    if (p->memory) p->memory->bytes_max = p->spec.state_bytes_max;
  opened_.clear();  // nobody told of those that came and went without a processor
  store_.for_each([this](storage::partition_log& log) { note_opened(log); });
  start_waiting(std::nullopt);
}

// The flow that goes on where `f` has ended.
shard_host::flow_ptr shard_host::heir_of(flow& f, deployed_ptr processor) const {
  std::vector<storage::topic_partition_id> inputs;
  for (const flow_input& one : f.inputs) inputs.push_back(one.id);
  auto heir = std::make_shared<flow>(std::move(processor), inputs);
  for (size_t i = 0; i < inputs.size(); ++i) heir->inputs[i].cursor = f.inputs[i].cursor;
  heir->counters = f.counters;
  f.code = nullptr;  // it points to the state
  if (f.has_begun && f.state && fits(f.processor, heir->processor)) {
    heir->state = std::move(f.state);
    heir->has_begun = true;
    heir->changelog_bytes = f.changelog_bytes;
    heir->written_at = f.written_at;
  }
  f.state = nullptr;
  return heir;
}

runtime::task<void> shard_host::forget(std::string name) {
  const uuid id = processor_id(name);
  const uuid state_id = state_id_of(name);
  storage::commit_mark touched;
  for (const auto& [key, at] : store_.cursors()) {
    if (key.processor != id && key.processor != state_id && !is_mark_of(key, name)) continue;
    store_.remove_cursor(key);
    if (const storage::partition_log* log = store_.find(key.input)) touched.include(store_.open_lsn(*log));
    if (key.processor == id) co_await remove_snapshot(key);
  }
  const auto durable = co_await store_.wait_durable(touched);
  if (!durable) log::warn("position of {} may come back: {}", name, to_string(durable.error()));
}

}  // namespace millrace::processors
