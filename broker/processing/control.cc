#include "broker/processing/control.h"

#include <algorithm>
#include <functional>

#include "base/log.h"
#include "broker/metadata/topic_registry.h"
#include "broker/node.h"
#include "broker/processing/entries.h"
#include "broker/processing/processing.h"
#include "broker/shard_context.h"
#include "runtime/off_shard.h"
#include "runtime/reactor.h"
#include "runtime/shards.h"

namespace millrace::broker {

using runtime::task;

namespace {

std::unexpected<error> unknown(const std::string& name) {
  return fail(errc::resource_not_found, "there is no processor {}", name);
}

deploy_outcome outcome_of(const processors::deployed_processor& p) {
  return {.name = p.spec.name,
          .code = p.code->name(),
          .version = p.code->version(),
          .content_hash = p.code->content_hash(),
          .notes = {}};
}

}  // namespace

// ---- What is refused -----------------------------------------------------------------------------------

std::optional<error> processor_control::not_ours(const std::string& name) const {
  for (const processor_entry& entry : whole_.whole_.given.processors)
    if (entry.name == name)
      return error{
          errc::policy_violation,
          fmt::format("processor {} belongs to the configuration file ({}): change it there and restart "
                      "the broker; at run time it can be paused and resumed",
                      name, entry.where)};
  const auto at = whole_.stored_.find(name);
  if (at == whole_.stored_.end() || at->second.is_leaving)
    return error{errc::resource_not_found, fmt::format("there is no processor {}", name)};
  return std::nullopt;
}

// What the topics that exist already say against the processor.
result<void> processor_control::check_topics(const processors::deployed_processor& p) const {
  const image_ptr image = whole_.whole_.shards[0]->image();
  const uint32_t shards = whole_.whole_.shard_count();
  const topic* input = image->find(p.spec.input);
  const topic* first = input;
  for (const std::string& name : p.target_topics()) {
    const topic* output = image->find(name);
    if (!output) continue;
    if (output->is_internal)
      return fail(errc::invalid_config, "processor {}: topic {} is the broker's own", p.spec.name, name);
    if (input && output->settings.kept != input->settings.kept)
      return fail(
          errc::invalid_config,
          "processor {}: input {} and output {} differ in durability; name an output that does not exist "
          "yet, and the broker makes it alike",
          p.spec.name, input->name, name);
    if (!first) first = output;
    for (int32_t i = 0; i < std::min(first->partitions, output->partitions); ++i)
      if (first->owner(i, shards) != output->owner(i, shards))
        return fail(
            errc::invalid_config,
            "processor {}: topics {} and {} have their partitions on different shards; name an output that "
            "does not exist yet, and the broker puts it beside its input",
            p.spec.name, first->name, name);
  }
  for (const std::string& name : p.output_topics)
    if (const topic* output = image->find(name);
        input && output && output->settings.kept != input->settings.kept)
      return fail(errc::invalid_config, "processor {}: input {} and output {} differ in durability",
                  p.spec.name, input->name, name);
  return {};
}

// What the state of the deployed version says against its successor.
result<void> processor_control::check_successor(const processors::deployed_processor& old,
                                                const processors::deployed_processor& now,
                                                std::vector<std::string>& notes) {
  if (old.spec.input != now.spec.input)
    return fail(
        errc::invalid_config,
        "processor {} reads {}; to read {} instead, deploy it under another name: a position belongs to "
        "one input",
        old.spec.name, old.spec.input, now.spec.input);
  if (!old.code->is_stateful()) {
    if (now.code->is_stateful()) notes.emplace_back("Its state begins empty at the present position.");
    return {};
  }
  if (!now.code->is_stateful())
    return fail(errc::invalid_config,
                "processor {} has state, and this library keeps none: remove it with its state (purge), then "
                "deploy this one",
                old.spec.name);
  const auto before = old.code->table().state_version;
  const auto after = now.code->table().state_version;
  if (before != after)
    return fail(
        errc::invalid_config,
        "processor {} has state of version {}, and this library keeps version {}: deploy it under another "
        "name, to make its state anew from the input, or remove the old one with its state (purge) first",
        old.spec.name, before, after);
  for (const std::string& store : old.code->stores())
    if (std::ranges::find(now.code->stores(), store) == now.code->stores().end())
      notes.push_back(fmt::format("Store {} is not used any more; its changelog stays.", store));
  for (const std::string& store : now.code->stores())
    if (std::ranges::find(old.code->stores(), store) == old.code->stores().end())
      notes.push_back(fmt::format("Store {} begins empty at the present position.", store));
  return {};
}

task<bool> processor_control::has_position(std::string name) {
  const uuid id = processors::processor_id(name);
  for (const auto& shard : whole_.whole_.shards) {
    const auto look = [&shard, &id] {
      storage::shard_store& store = shard->store();
      return std::ranges::any_of(store.cursors(), [&](const auto& cursor) {
        return cursor.first.processor == id && store.find(cursor.first.input);
      });
    };
    const bool is_there = co_await runtime::call_on(shard->id(), look);
    if (is_there) co_return true;
  }
  co_return false;
}

// ---- Deploying -----------------------------------------------------------------------------------------

task<result<processors::deployed_processor>> processor_control::prepare(processor_entry entry,
                                                                        std::string library) {
  auto spec = spec_of(entry);
  if (!spec) co_return fail(spec.error());
  result<std::shared_ptr<const processors::plugin>> code = fail(errc::cancelled);
  processors::quarantine accused;
  const auto load = [this, &code, &spec, &library, &accused] {
    code = processors::deployment::load_code(*spec, library, whole_.library_directory_);
    accused = processors::quarantine::read(whole_.whole_.config.data_directory);
  };
  co_await runtime::off_shard(load);
  if (!code) co_return fail(errc::invalid_config, "processor {}: {}", entry.name, code.error().message);
  auto prepared = processors::deployment::prepare(std::move(*spec), std::move(*code));
  if (!prepared) co_return fail(prepared.error());
  if (const auto* found = accused.find(entry.name, prepared->code->content_hash()))
    prepared->quarantined = found->sentence();
  const result<void> fit = check_topics(*prepared);
  if (!fit) co_return fail(fit.error());
  co_return std::move(*prepared);
}

// Makes it durable, then real.
task<result<void>> processor_control::commit(std::vector<storage::metadata_entry> entries,
                                             processors::deployment now) {
  const result<void> logged = co_await whole_.log_.append(std::move(entries));
  if (!logged) co_return fail(logged.error());
  co_await whole_.adopt(std::move(now));
  co_return result<void>();
}

task<result<deploy_outcome>> processor_control::deploy(processor_entry entry) {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  const std::string name = entry.name;
  const auto refused = not_ours(name);
  if (!refused)
    co_return fail(errc::duplicate_resource,
                   "processor {} is deployed already; replace it, or remove it first", name);
  if (refused->code != errc::resource_not_found) co_return fail(*refused);
  if (whole_.stored_.contains(name))
    co_return fail(errc::duplicate_resource, "processor {} is being removed", name);
  if (!entry.start.empty()) {
    const bool goes_on = co_await has_position(name);
    if (goes_on)
      co_return fail(
          errc::invalid_config,
          "processor {}: an earlier deployment of that name has left its position, and its outputs hold what "
          "it "
          "derived. Leave out where to start, and it goes on there; deploy it under another name to start "
          "elsewhere; or deploy it without, then remove it with its position (purge) first",
          name);
  }
  auto prepared = co_await prepare(entry, entry.library);
  if (!prepared) co_return fail(prepared.error());
  deploy_outcome outcome = outcome_of(*prepared);
  stored_processor stored;
  stored.current = version_of(std::move(entry), *prepared);
  auto next = whole_.current().with(std::move(*prepared));
  if (!next) co_return fail(next.error());
  std::vector<storage::metadata_entry> entries{entry_of(name, stored), pause_entry_of(name, false)};
  const result<void> done = co_await commit(std::move(entries), std::move(*next));
  if (!done) co_return fail(done.error());
  whole_.stored_[name] = std::move(stored);
  log::info("processor deployed name={} code={} version={} content={}", name, outcome.code, outcome.version,
            outcome.content_hash);
  co_return outcome;
}

stored_version processor_control::version_of(processor_entry entry, const processors::deployed_processor& p) {
  return {.entry = std::move(entry),
          .content_hash = p.code->content_hash(),
          .deployed_at_ms = runtime::reactor::current().wall_clock_ms()};
}

// Puts `version` in the place of the one deployed, with `earlier` as its history.
task<result<deploy_outcome>> processor_control::succeed(std::string name, processor_entry entry,
                                                        std::string library,
                                                        std::vector<stored_version> earlier) {
  auto prepared = co_await prepare(entry, std::move(library));
  if (!prepared) co_return fail(prepared.error());
  deploy_outcome outcome = outcome_of(*prepared);
  const processors::deployed_ptr old = whole_.current().find(name);
  if (old && !old->code->is_absent()) {
    const result<void> fit = check_successor(*old, *prepared, outcome.notes);
    if (!fit) co_return fail(fit.error());
    prepared->is_held = old->is_held;
    if (old->is_held) outcome.notes.emplace_back("It is paused, and stays so until it is resumed.");
    if (old->spec.start != prepared->spec.start)
      outcome.notes.emplace_back(
          "It goes on from its position: where to start is for partitions without one.");
  }
  stored_processor stored = whole_.stored_.at(name);
  stored.current = version_of(std::move(entry), *prepared);
  stored.earlier = std::move(earlier);
  auto next = whole_.current().with(std::move(*prepared));
  if (!next) co_return fail(next.error());
  std::vector<storage::metadata_entry> entries{entry_of(name, stored)};
  const result<void> done = co_await commit(std::move(entries), std::move(*next));
  if (!done) co_return fail(done.error());
  whole_.stored_[name] = std::move(stored);
  whole_.failed_.erase(name);
  log::info("processor replaced name={} code={} version={} content={}", name, outcome.code, outcome.version,
            outcome.content_hash);
  co_return outcome;
}

task<result<deploy_outcome>> processor_control::replace(processor_entry entry) {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  const std::string name = entry.name;
  if (const auto refused = not_ours(name)) co_return fail(*refused);
  const stored_processor& old = whole_.stored_.at(name);
  std::string library = entry.library;
  if (library.empty()) {  // the same code with other options
    library = whole_.library_of(old.current.content_hash);
    entry.library = old.current.entry.library;
  }
  std::vector<stored_version> earlier{old.current};
  earlier.insert(earlier.end(), old.earlier.begin(), old.earlier.end());
  if (earlier.size() > earlier_versions_max) earlier.resize(earlier_versions_max);
  co_return co_await succeed(name, std::move(entry), std::move(library), std::move(earlier));
}

task<result<deploy_outcome>> processor_control::rollback(std::string name) {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  if (const auto refused = not_ours(name)) co_return fail(*refused);
  std::vector<stored_version> earlier = whole_.stored_.at(name).earlier;
  if (earlier.empty())
    co_return fail(errc::invalid_argument, "processor {} has no earlier version to go back to", name);
  const stored_version last = std::move(earlier.front());
  earlier.erase(earlier.begin());
  co_return co_await succeed(name, last.entry, whole_.library_of(last.content_hash), std::move(earlier));
}

// ---- Pausing, removing ---------------------------------------------------------------------------------

task<result<void>> processor_control::pause(std::string name) {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  const processors::deployed_ptr p = whole_.current().find(name);
  if (!p) co_return unknown(name);
  if (p->is_held) co_return result<void>();
  auto next = whole_.current().with(processing::as_held(*p, true));
  if (!next) co_return fail(next.error());
  std::vector<storage::metadata_entry> entries{pause_entry_of(name, true)};
  co_return co_await commit(std::move(entries), std::move(*next));
}

task<result<void>> processor_control::resume(std::string name) {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  if (const auto failed = whole_.failed_.find(name); failed != whole_.failed_.end())
    co_return fail(errc::invalid_config, "processor {} cannot be loaded, so replace or remove it: {}", name,
                   failed->second);
  const processors::deployed_ptr p = whole_.current().find(name);
  if (!p) co_return unknown(name);
  processors::deployed_processor again = processing::as_held(*p, false);
  if (!p->quarantined.empty()) {
    result<void> pardoned;
    const auto pardon = [this, &pardoned, &name] {
      pardoned = processors::quarantine::pardon(whole_.whole_.config.data_directory, name);
    };
    co_await runtime::off_shard(pardon);
    if (!pardoned) co_return pardoned;
    again.quarantined.clear();
  }
  auto next = whole_.current().with(std::move(again));
  if (!next) co_return fail(next.error());
  std::vector<storage::metadata_entry> entries{pause_entry_of(name, false)};
  co_return co_await commit(std::move(entries), std::move(*next));
}

task<result<void>> processor_control::remove(std::string name, bool purge) {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  if (const auto refused = not_ours(name)) co_return fail(*refused);
  std::vector<std::string> changelogs;
  if (const processors::deployed_ptr p = whole_.current().find(name)) changelogs = p->spec.changelogs;
  if (purge) {
    for (const processors::deployed_ptr& other : whole_.current().processors())
      if (std::ranges::find(changelogs, other->spec.input) != changelogs.end())
        co_return fail(errc::invalid_argument, "processor {} reads the changelog {}, which would be deleted",
                       other->spec.name, other->spec.input);
  }
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
  co_return co_await drop_leftovers(name, std::move(changelogs));
}

// What a purged processor has left behind; may be repeated after a crash.
task<result<void>> processor_control::drop_leftovers(std::string name, std::vector<std::string> changelogs) {
  for (uint32_t i = 0; i < whole_.shards_.size(); ++i) {
    processors::shard_host* host = whole_.shards_[i].host.get();
    if (!host) continue;
    const auto forget_there = [host, &name] { return host->forget(name); };
    co_await runtime::call_on(shard_id(i), forget_there);
  }
  std::vector<uuid> doomed;
  const image_ptr image = whole_.whole_.shards[0]->image();
  for (const std::string& topic_name : changelogs)
    if (const topic* changelog = image->find(topic_name)) doomed.push_back(changelog->id);
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
    std::vector<std::string> changelogs;
    const auto alone = whole_.deploy_stored({}, whole_.stored_.at(name), true);
    if (alone) changelogs = alone->processors()[0]->spec.changelogs;
    const result<void> dropped = co_await drop_leftovers(name, std::move(changelogs));
    if (!dropped)
      log::warn("what processor {} has left behind cannot be dropped: {}", name, to_string(dropped.error()));
  }
}

}  // namespace millrace::broker
