#include "broker/processing/control.h"

#include <algorithm>

#include "base/log.h"
#include "broker/node.h"
#include "broker/processing/entries.h"
#include "broker/processing/processing.h"
#include "broker/shard_context.h"
#include "runtime/off_shard.h"
#include "runtime/reactor.h"
#include "runtime/shards.h"

namespace millrace::broker {

using runtime::task;

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

// A replay or a shadow is what it was made as.
std::optional<error> processor_control::not_a_processor(const std::string& name) const {
  const auto at = whole_.stored_.find(name);
  if (at == whole_.stored_.end() || at->second.role == stored_role::processor) return std::nullopt;
  return error{errc::policy_violation,
               fmt::format("{} is a {} of processor {}: remove it, and make another one", name,
                           name_of(at->second.role), at->second.of)};
}

// Why nothing new can be deployed under that name.
std::optional<error> processor_control::name_taken(const std::string& name) const {
  auto refused = not_ours(name);
  if (!refused)
    return error{errc::duplicate_resource,
                 fmt::format("processor {} is deployed already; replace it, or remove it first", name)};
  if (refused->code != errc::resource_not_found) return refused;
  if (whole_.stored_.contains(name))
    return error{errc::duplicate_resource, fmt::format("processor {} is being removed", name)};
  return std::nullopt;
}

// What the topics that exist already say against the processor, with all its stages.
result<void> processor_control::check_topics(const processors::deployed_processor& p) const {
  MR_TRY(check_topics_of_stage(p));
  for (const processors::deployed_processor& stage : p.further_stages) MR_TRY(check_topics_of_stage(stage));
  return {};
}

result<void> processor_control::check_topics_of_stage(const processors::deployed_processor& p) const {
  const image_ptr image = whole_.whole_.shards[0]->image();
  const uint32_t shards = whole_.whole_.shard_count();
  MR_TRY(check_inputs(p, *image, shards));
  const topic* input = nullptr;
  for (const std::string& name : p.input_topics)
    if (!input) input = image->find(name);
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
                                                const std::set<uint32_t>& versions,
                                                std::vector<std::string>& notes) {
  if (old.input_topics != now.input_topics)
    return fail(
        errc::invalid_config,
        "processor {} reads {}; to read {} instead, deploy it under another name: a position belongs to "
        "its input",
        old.spec.name, fmt::join(old.input_topics, ", "), fmt::join(now.input_topics, ", "));
  if (!old.code->is_stateful()) {
    if (now.code->is_stateful()) notes.emplace_back("Its state begins empty at the present position.");
    return {};
  }
  if (!now.code->is_stateful())
    return fail(errc::invalid_config,
                "processor {} has state, and this library keeps none: remove it with its state (purge), then "
                "deploy this one",
                old.spec.name);
  const auto after = now.code->table().state_version;
  for (const uint32_t before : versions) {
    if (before == after) continue;
    if (!now.code->migrates_from(before))
      return fail(
          errc::invalid_config,
          "processor {} has state of version {}, and this library keeps version {}{}: deploy it under "
          "another "
          "name, to make its state anew from the input, or remove the old one with its state (purge) first",
          old.spec.name, before, after, before < after ? " and cannot migrate it" : "");
    notes.push_back(fmt::format("Its state is migrated from version {} to {}.", before, after));
  }
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

task<std::set<uint32_t>> processor_control::state_versions(processors::deployed_ptr p) {
  std::set<uint32_t> versions;
  if (!p->code->is_stateful()) co_return versions;
  const std::vector<processor_flow> all = co_await flows();
  for (const processor_flow& f : all)
    if (f.status.processor == p->spec.name && f.status.state_version)
      versions.insert(*f.status.state_version);
  // What is not in memory, its own library has made, or has not got to migrating it.
  if (versions.empty()) versions.insert(p->code->table().state_version);
  co_return versions;
}

// ---- Deploying -----------------------------------------------------------------------------------------

task<result<processors::deployed_processor>> processor_control::prepare(const stored_processor& as,
                                                                        std::string library) {
  const std::string& name = as.current.entry.name;
  auto spec = spec_of(as);
  if (!spec) co_return fail(spec.error());
  result<std::shared_ptr<const processors::plugin>> code = fail(errc::cancelled);
  processors::quarantine accused;
  const auto load = [this, &code, &spec, &library, &accused] {
    code = processors::deployment::load_code(*spec, library, whole_.library_directory_);
    accused = processors::quarantine::read(whole_.whole_.config.data_directory);
  };
  co_await runtime::off_shard(load);
  if (!code) co_return fail(errc::invalid_config, "processor {}: {}", name, code.error().message);
  auto prepared = processors::deployment::prepare(std::move(*spec), std::move(*code));
  if (!prepared) co_return fail(prepared.error());
  const auto heed = [&accused](processors::deployed_processor& stage) {
    if (const auto* found = accused.find(stage.spec.name, stage.code->content_hash()))
      stage.quarantined = found->sentence();
  };
  heed(*prepared);
  std::ranges::for_each(prepared->further_stages, heed);
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

task<result<void>> processor_control::add(stored_processor stored, processors::deployed_processor prepared) {
  const std::string name = prepared.spec.name;
  auto next = whole_.current().with(std::move(prepared));
  if (!next) co_return fail(next.error());
  std::vector<storage::metadata_entry> entries{entry_of(name, stored), pause_entry_of(name, false)};
  const result<void> done = co_await commit(std::move(entries), std::move(*next));
  if (!done) co_return fail(done.error());
  whole_.stored_[name] = std::move(stored);
  co_return result<void>();
}

task<result<deploy_outcome>> processor_control::deploy(processor_entry entry) {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  const std::string name = entry.name;
  if (const auto refused = name_taken(name)) co_return fail(*refused);
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
  stored_processor stored;
  stored.current.entry = entry;
  auto prepared = co_await prepare(stored, entry.library);
  if (!prepared) co_return fail(prepared.error());
  deploy_outcome outcome = outcome_of(*prepared);
  stored.current = version_of(std::move(entry), *prepared);
  const result<void> done = co_await add(std::move(stored), *std::move(prepared));
  if (!done) co_return fail(done.error());
  log::info("processor deployed name={} code={} version={} content={}", name, outcome.code, outcome.version,
            outcome.content_hash);
  co_return outcome;
}

deploy_outcome processor_control::outcome_of(const processors::deployed_processor& p) {
  return {.name = p.spec.name,
          .code = p.code->name(),
          .version = p.code->version(),
          .content_hash = p.code->content_hash(),
          .notes = {}};
}

stored_version processor_control::version_of(processor_entry entry, const processors::deployed_processor& p) {
  return {.entry = std::move(entry),
          .content_hash = p.code->content_hash(),
          .deployed_at_ms = runtime::reactor::current().wall_clock_ms()};
}

// Puts the entry in the place of the one deployed, with `earlier` as its history, and lets `without` leave.
task<result<deploy_outcome>> processor_control::succeed(std::string name, processor_entry entry,
                                                        std::string library,
                                                        std::vector<stored_version> earlier,
                                                        std::string without) {
  stored_processor stored = whole_.stored_.at(name);
  stored.current.entry = entry;
  auto prepared = co_await prepare(stored, std::move(library));
  if (!prepared) co_return fail(prepared.error());
  deploy_outcome outcome = outcome_of(*prepared);
  const std::vector<processors::deployed_ptr> stages = whole_.current().stages_of(name);
  const processors::deployed_ptr old = stages.empty() ? nullptr : stages.front();
  if (old && !old->code->is_absent()) {
    if (stages.size() != prepared->further_stages.size() + 1)
      co_return fail(errc::invalid_config,
                     "processor {} has {} stages, and this library has {}, which would not find the state: "
                     "deploy it under another name",
                     name, stages.size(), prepared->further_stages.size() + 1);
    for (size_t i = 0; i < stages.size(); ++i) {
      const std::set<uint32_t> versions = co_await state_versions(stages[i]);
      const processors::deployed_processor& next = i == 0 ? *prepared : prepared->further_stages[i - 1];
      const result<void> fit = check_successor(*stages[i], next, versions, outcome.notes);
      if (!fit) co_return fail(fit.error());
    }
    if (old->is_held) outcome.notes.emplace_back("It is paused, and stays so until it is resumed.");
    if (old->spec.start != prepared->spec.start)
      outcome.notes.emplace_back(
          "It goes on from its position: where to start is for partitions without one.");
  }
  stored.current = version_of(std::move(entry), *prepared);
  stored.earlier = std::move(earlier);
  auto next = whole_.current().without(without).with(std::move(*prepared));
  if (!next) co_return fail(next.error());
  if (old && old->is_held) next = processing::as_held(*next, name, true);
  std::vector<storage::metadata_entry> entries{entry_of(name, stored)};
  if (!without.empty()) {
    stored_processor leaving = whole_.stored_.at(without);
    leaving.is_leaving = true;
    entries.push_back(entry_of(without, leaving));
  }
  const result<void> done = co_await commit(std::move(entries), std::move(*next));
  if (!done) co_return fail(done.error());
  whole_.stored_[name] = std::move(stored);
  whole_.failed_.erase(name);
  if (!without.empty()) whole_.stored_[without].is_leaving = true;
  log::info("processor replaced name={} code={} version={} content={}", name, outcome.code, outcome.version,
            outcome.content_hash);
  co_return outcome;
}

task<result<deploy_outcome>> processor_control::replace(processor_entry entry) {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  const std::string name = entry.name;
  if (const auto refused = not_ours(name)) co_return fail(*refused);
  if (const auto refused = not_a_processor(name)) co_return fail(*refused);
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
  if (const auto refused = not_a_processor(name)) co_return fail(*refused);
  std::vector<stored_version> earlier = whole_.stored_.at(name).earlier;
  if (earlier.empty())
    co_return fail(errc::invalid_argument, "processor {} has no earlier version to go back to", name);
  const stored_version last = std::move(earlier.front());
  earlier.erase(earlier.begin());
  co_return co_await succeed(name, last.entry, whole_.library_of(last.content_hash), std::move(earlier));
}

}  // namespace millrace::broker
