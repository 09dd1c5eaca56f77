// The part of processor_control that stops processors, lets them go on, and takes them away.
#include <algorithm>

#include "base/log.h"
#include "broker/metadata/topic_registry.h"
#include "broker/node.h"
#include "broker/processing/control.h"
#include "broker/processing/processing.h"
#include "broker/shard_context.h"
#include "runtime/off_shard.h"
#include "runtime/shards.h"

namespace millrace::broker {

using runtime::task;

namespace {

std::unexpected<error> unknown(const std::string& name) {
  return fail(errc::resource_not_found, "there is no processor {}", name);
}

}  // namespace

task<result<void>> processor_control::pause(std::string name) {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  const std::vector<processors::deployed_ptr> stages = whole_.current().stages_of(name);
  if (stages.empty()) co_return unknown(name);
  if (stages.front()->is_held) co_return result<void>();
  std::vector<storage::metadata_entry> entries{pause_entry_of(name, true)};
  co_return co_await commit(std::move(entries), processing::as_held(whole_.current(), name, true));
}

task<result<void>> processor_control::resume(std::string name) {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  if (const auto failed = whole_.failed_.find(name); failed != whole_.failed_.end())
    co_return fail(errc::invalid_config, "processor {} cannot be loaded, so replace or remove it: {}", name,
                   failed->second);
  const std::vector<processors::deployed_ptr> stages = whole_.current().stages_of(name);
  if (stages.empty()) co_return unknown(name);
  for (const processors::deployed_ptr& stage : stages) {
    if (stage->quarantined.empty()) continue;
    result<void> pardoned;
    const auto pardon = [this, &pardoned, &stage] {
      pardoned = processors::quarantine::pardon(whole_.whole_.config.data_directory, stage->spec.name);
    };
    co_await runtime::off_shard(pardon);
    if (!pardoned) co_return pardoned;
  }
  // (Not before the last wait: this is what there is then.)
  processors::deployment next =
      processing::as_held(whole_.current(), name, false)
          .changed(name, [](processors::deployed_processor& stage) { stage.quarantined.clear(); });
  std::vector<storage::metadata_entry> entries{pause_entry_of(name, false)};
  co_return co_await commit(std::move(entries), std::move(next));
}

task<result<void>> processor_control::remove(std::string name, bool purge) {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  co_return co_await remove_now(std::move(name), purge);
}

std::optional<error> processor_control::read_by_another(const std::string& name,
                                                        const std::vector<std::string>& topics) const {
  for (const processors::deployed_ptr& other : whole_.current().processors())
    for (const std::string& input : processors::topics_read(other->spec))
      if (processors::whole_name(other->spec) != name && std::ranges::find(topics, input) != topics.end())
        return error{
            errc::invalid_argument,
            fmt::format("processor {} reads the topic {}, which would be deleted", other->spec.name, input)};
  return std::nullopt;
}

task<result<void>> processor_control::remove_now(std::string name, bool purge) {
  if (const auto refused = not_ours(name)) co_return fail(*refused);
  const stored_role role = whole_.stored_.at(name).role;
  if (role != stored_role::processor) purge = true;  // nobody goes on where it stood
  leftovers left = leftovers_of(whole_.current().stages_of(name), role);
  if (!no_shadow_of(name))
    co_return fail(errc::policy_violation, "processor {} has a shadow: promote or discard that first", name);
  if (purge)
    if (const auto refused = read_by_another(name, left.topics)) co_return fail(*refused);
  stored_processor leaving = whole_.stored_.at(name);
  leaving.is_leaving = true;
  std::vector<storage::metadata_entry> entries{purge ? entry_of(name, leaving) : no_entry_of(name),
                                               pause_entry_of(name, false)};
  const result<void> done = co_await commit(std::move(entries), whole_.current().without(name));
  if (!done) co_return done;
  log::info("processor removed name={} purge={}", name, purge);
  whole_.failed_.erase(name);
  if (!purge) {
    whole_.stored_.erase(name);
    co_return result<void>();
  }
  whole_.stored_[name].is_leaving = true;
  co_return co_await drop_leftovers(name, std::move(left));
}

// The topics that go with a purged processor: its state, and what is on its way between its stages; of a
// replay all that is only on its way, too; of a shadow everything.
leftovers processor_control::leftovers_of(const std::vector<processors::deployed_ptr>& stages,
                                          stored_role role) {
  leftovers left;
  const auto add = [&left](const std::vector<std::string>& more) {
    for (const std::string& topic : more)
      if (std::ranges::find(left.topics, topic) == left.topics.end()) left.topics.push_back(topic);
  };
  for (const processors::deployed_ptr& p : stages) {
    if (!p->spec.stage_of.empty()) left.further_stages.push_back(p->spec.name);
    if (role == stored_role::shadow) {
      add(processors::topics_written(p->spec));
      continue;
    }
    add(p->spec.changelogs);
    add(p->spec.repartitions);
    if (processors::has_several_inputs(p->spec)) add({processors::order_topic(p->spec.name)});
    for (size_t i = 0; i < p->output_topics.size(); ++i) {
      const bool is_between = processors::is_between_stages(p->spec, p->output_topics[i]);
      if (p->has_outbox(i) && (is_between || role != stored_role::processor))
        add({processors::outbox_topic(p->spec.name, p->code->outputs()[i])});
    }
  }
  return left;
}

// What a purged processor has left behind; may be repeated after a crash.
task<result<void>> processor_control::drop_leftovers(std::string name, leftovers left) {
  std::vector<std::string> names = left.further_stages;
  names.push_back(name);
  for (uint32_t i = 0; i < whole_.shards_.size(); ++i) {
    processors::shard_host* host = whole_.shards_[i].host.get();
    if (!host) continue;
    for (const std::string& one : names) {
      const auto forget_there = [host, &one] { return host->forget(one); };
      co_await runtime::call_on(shard_id(i), forget_there);
    }
  }
  std::vector<uuid> doomed;
  const image_ptr image = whole_.whole_.shards[0]->image();
  for (const std::string& topic_name : left.topics)
    if (const topic* found = image->find(topic_name)) doomed.push_back(found->id);
  if (!doomed.empty()) {
    const auto removed = co_await whole_.whole_.topics->remove(std::move(doomed));
    for (const result<void>& r : removed)
      if (!r) co_return fail(r.error());
  }
  const result<void> logged = co_await whole_.log_.append({no_entry_of(name)});
  if (!logged) co_return fail(logged.error());
  whole_.stored_.erase(name);
  co_return result<void>();
}

task<void> processor_control::finish_begun() {
  std::vector<std::string> leaving;
  for (const auto& [name, p] : whole_.stored_)
    if (p.is_leaving) leaving.push_back(name);
  for (const std::string& name : leaving) {
    leftovers left;
    const stored_processor& p = whole_.stored_.at(name);
    const auto alone = whole_.deploy_stored({}, p, true);
    if (alone) left = leftovers_of(alone->processors(), p.role);
    const result<void> dropped = co_await drop_leftovers(name, std::move(left));
    if (!dropped)
      log::warn("what processor {} has left behind cannot be dropped: {}", name, to_string(dropped.error()));
  }
}

}  // namespace millrace::broker
