// The part of processor_control that lets a new version run beside the old one.
//
// A shadow is stored as a processor of its own, "<name>.shadow". Its version before the current one is what
// promotion deploys: the same with the topics that the processor has, or is to have.
#include "base/log.h"
#include "broker/node.h"
#include "broker/processing/control.h"
#include "broker/processing/processing.h"

namespace millrace::broker {

using runtime::task;

namespace {

constexpr std::string_view shadow_suffix = ".shadow";

std::string shadow_of(const std::string& name) {
  return name + std::string(shadow_suffix);
}

}  // namespace

// Why there is none; nothing if there is.
std::optional<error> processor_control::no_shadow_of(const std::string& name) const {
  const auto at = whole_.stored_.find(shadow_of(name));
  if (at != whole_.stored_.end() && at->second.role == stored_role::shadow && !at->second.is_leaving)
    return std::nullopt;
  return error{errc::resource_not_found, fmt::format("processor {} has no shadow", name)};
}

task<result<deploy_outcome>> processor_control::shadow(processor_entry entry) {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  const std::string of = entry.name;
  const std::string name = shadow_of(of);
  const processors::deployed_ptr original = whole_.current().find(of);
  const auto original_entry = entry_of_deployed(of);
  if (!original || !original_entry) co_return fail(errc::resource_not_found, "there is no processor {}", of);
  if (const auto refused = not_a_processor(of)) co_return fail(*refused);
  if (original->code->is_absent())
    co_return fail(errc::invalid_config, "processor {} cannot be loaded: {}", of, original->quarantined);
  if (original->is_validator())
    co_return fail(errc::invalid_config, "processor {} is a validator: it derives nothing to compare", of);
  if (whole_.current().stages_of(of).size() > 1)
    co_return fail(errc::not_supported, "processor {} has several stages: shadows are of processors with one",
                   of);
  if (processors::has_several_inputs(original->spec))
    co_return fail(errc::not_supported, "processor {} has several inputs: shadows are of processors with one",
                   of);
  if (!no_shadow_of(of))
    co_return fail(errc::duplicate_resource, "processor {} has a shadow already: promote or discard it first",
                   of);
  if (const auto refused = name_taken(name)) co_return fail(*refused);
  std::string library = entry.library;
  if (library.empty()) {  // the same code with other options
    library = whole_.library_of(original->code->content_hash());
    entry.library = original_entry->library;
  }
  if (entry.outputs.empty()) {
    entry.outputs = original_entry->outputs;
    entry.partition_by = original_entry->partition_by;
  }
  entry.where.clear();
  entry.start = original_entry->start;

  stored_processor stored;
  stored.role = stored_role::shadow;
  stored.of = of;
  stored.current.entry = entry;
  stored.current.entry.name = name;
  stored.current.entry.start.clear();
  for (auto& [output, topic] : stored.current.entry.outputs) topic += shadow_suffix;
  if (!entry.dead_letter.empty()) stored.current.entry.dead_letter += shadow_suffix;
  auto prepared = co_await prepare(stored, library);
  if (!prepared) co_return fail(prepared.error());
  deploy_outcome outcome = outcome_of(*prepared);
  const std::set<uint32_t> versions = co_await state_versions(original);
  const result<void> fit = check_successor(*original, *prepared, versions, outcome.notes);
  if (!fit) co_return fail(fit.error());
  const result<void> fresh = check_new_topics(*prepared);
  if (!fresh) co_return fail(fresh.error());
  const bool has_left = co_await has_position(name);
  if (has_left)
    co_return fail(errc::invalid_config, "a processor {} has left its position: purge it first", name);
  stored.earlier = {version_of(std::move(entry), *prepared)};
  processor_entry mapped = stored.current.entry;
  stored.current = version_of(std::move(mapped), *prepared);
  const result<void> done = co_await add(std::move(stored), *std::move(prepared));
  if (!done) co_return fail(done.error());
  log::info("shadow deployed name={} of={} content={}", name, of, outcome.content_hash);
  co_return outcome;
}

task<result<deploy_outcome>> processor_control::promote(std::string name) {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  if (const auto refused = no_shadow_of(name)) co_return fail(*refused);
  if (const auto refused = not_ours(name)) co_return fail(*refused);
  const std::string shadow = shadow_of(name);
  leftovers left = leftovers_of(whole_.current().stages_of(shadow), stored_role::shadow);
  if (const auto refused = read_by_another(shadow, left.topics)) co_return fail(*refused);
  const stored_version promoted = whole_.stored_.at(shadow).earlier.at(0);
  const stored_processor& old = whole_.stored_.at(name);
  std::vector<stored_version> earlier{old.current};
  earlier.insert(earlier.end(), old.earlier.begin(), old.earlier.end());
  if (earlier.size() > earlier_versions_max) earlier.resize(earlier_versions_max);
  auto outcome = co_await succeed(name, promoted.entry, whole_.library_of(promoted.content_hash),
                                  std::move(earlier), shadow);
  if (!outcome) co_return outcome;
  // The rest is done again at the next start if it cannot be done now.
  const result<void> dropped = co_await drop_leftovers(shadow, std::move(left));
  if (!dropped)
    outcome->notes.push_back(
        fmt::format("What {} has left behind cannot be dropped yet: {}", shadow, dropped.error().message));
  co_return outcome;
}

task<result<void>> processor_control::discard(std::string name) {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  if (const auto refused = no_shadow_of(name)) co_return fail(*refused);
  co_return co_await remove_now(shadow_of(name), true);
}

}  // namespace millrace::broker
