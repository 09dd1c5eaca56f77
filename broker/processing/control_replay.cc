// The part of processor_control that makes replays.
#include <algorithm>

#include "base/log.h"
#include "broker/node.h"
#include "broker/processing/control.h"
#include "broker/processing/processing.h"
#include "broker/shard_context.h"
#include "runtime/shards.h"

namespace millrace::broker {

using runtime::task;

namespace {

constexpr std::string_view replay_suffix = ".replay";

// The offset before which a replay of the partition ends: never more than what is durable now.
task<result<int64_t>> end_of(storage::shard_store& store, storage::topic_partition_id id,
                             processors::start_position to) {
  using enum processors::start_position::kind;
  storage::partition_log* log = store.find(id);
  if (!log) co_return fail(errc::unknown_topic_or_partition, "its input is gone");
  const int64_t end = log->high_watermark().value();
  if (to.from == earliest) co_return log->log_start().value();
  if (to.from == offset) co_return std::min(to.at, end);
  if (to.from != time) co_return end;
  const auto found = co_await store.find_timestamp(*log, to.at, storage::read_bound::high_watermark);
  if (!found) co_return fail(found.error());
  co_return *found ? std::min((*found)->offset.value(), end) : end;
}

}  // namespace

std::optional<processor_entry> processor_control::entry_of_deployed(const std::string& name) const {
  for (const processor_entry& entry : whole_.whole_.given.processors)
    if (entry.name == name) return entry;
  const auto at = whole_.stored_.find(name);
  if (at == whole_.stored_.end() || at->second.is_leaving) return std::nullopt;
  return at->second.current.entry;
}

task<result<std::vector<int64_t>>> processor_control::ends_of(std::string topic_name,
                                                              processors::start_position to) {
  const image_ptr image = whole_.whole_.shards[0]->image();
  const topic* input = image->find(topic_name);
  if (!input)
    co_return fail(errc::unknown_topic_or_partition, "topic {} does not exist: there is nothing to replay",
                   topic_name);
  std::vector<int64_t> ends;
  for (int32_t p = 0; p < input->partitions; ++p) {
    const shard_id owner = input->owner(p, whole_.whole_.shard_count());
    storage::shard_store& store = whole_.whole_.shards[owner.value()]->store();
    const auto ask = [&store, id = input->partition(p), to] { return end_of(store, id, to); };
    const auto end = co_await runtime::call_on(owner, ask);
    if (!end) co_return fail(end.error());
    ends.push_back(*end);
  }
  co_return ends;
}

// What it writes begins with it.
result<void> processor_control::check_new_topics(const processors::deployed_processor& p) const {
  const image_ptr image = whole_.whole_.shards[0]->image();
  for (const std::string& name : processors::topics_written(p.spec))
    if (image->find(name))
      return fail(
          errc::invalid_config,
          "topic {} exists already, and {} writes to new topics only: choose another suffix or name for "
          "it, or delete the topic",
          name, p.spec.name);
  return {};
}

task<result<deploy_outcome>> processor_control::replay(std::string of, replay_request request) {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  const processors::deployed_ptr original = whole_.current().find(of);
  auto entry = entry_of_deployed(of);
  if (!original || !entry) co_return fail(errc::resource_not_found, "there is no processor {}", of);
  if (const auto refused = not_a_processor(of)) co_return fail(*refused);
  if (original->code->is_absent())
    co_return fail(errc::invalid_config, "processor {} cannot be loaded: {}", of, original->quarantined);
  if (original->is_validator())
    co_return fail(errc::invalid_config, "processor {} is a validator: it derives nothing to replay", of);
  if (whole_.current().stages_of(of).size() > 1)
    co_return fail(errc::not_supported, "processor {} has several stages: replays are of processors with one",
                   of);
  if (processors::has_several_inputs(original->spec))
    co_return fail(
        errc::not_supported,
        "processor {} has several inputs: replays are of processors with one. In which order it took "
        "their records is in topic {}",
        of, processors::order_topic(of));
  const std::string name = request.name.empty() ? of + std::string(replay_suffix) : request.name;
  if (const auto refused = name_taken(name)) {
    if (refused->code != errc::duplicate_resource) co_return fail(*refused);
    co_return fail(refused->code, "there is a {} already: give the replay another name, or remove that one",
                   name);
  }
  for (const auto& [output, topic] : request.into)
    if (!original->spec.outputs.contains(output))
      co_return fail(errc::invalid_config, "processor {} has no output {}", of, output);
  const std::string suffix = request.suffix.empty() ? std::string(replay_suffix) : request.suffix;
  entry->name = name;
  entry->where.clear();
  entry->start = request.from.empty() ? "earliest" : request.from;
  for (auto& [output, topic] : entry->outputs) {
    const auto chosen = request.into.find(output);
    topic = chosen == request.into.end() ? topic + suffix : chosen->second;
  }
  if (!entry->dead_letter.empty()) entry->dead_letter += suffix;
  const auto to = processors::parse_start_position(request.to.empty() ? "latest" : request.to);
  if (!to) co_return fail(errc::invalid_config, "to: {}", to.error().message);
  auto ends = co_await ends_of(entry->input, *to);
  if (!ends) co_return fail(ends.error());

  stored_processor stored;
  stored.current.entry = *entry;
  stored.role = stored_role::replay;
  stored.of = of;
  stored.until = std::move(*ends);
  const std::string library = whole_.library_of(original->code->content_hash());
  auto prepared = co_await prepare(stored, library);
  if (!prepared) co_return fail(prepared.error());
  const result<void> fresh = check_new_topics(*prepared);
  if (!fresh) co_return fail(fresh.error());
  const bool has_left = co_await has_position(name);
  if (has_left)
    co_return fail(errc::invalid_config, "a processor {} has left its position: give the replay another name",
                   name);
  deploy_outcome outcome = outcome_of(*prepared);
  if (!(prepared->code->table().traits & MILLRACE_DETERMINISTIC))
    outcome.notes.emplace_back(
        "Its library does not say that it is deterministic: another replay may give something else.");
  stored.current = version_of(*std::move(entry), *prepared);
  const result<void> done = co_await add(std::move(stored), *std::move(prepared));
  if (!done) co_return fail(done.error());
  log::info("replay begins name={} of={} content={}", name, of, outcome.content_hash);
  co_return outcome;
}

}  // namespace millrace::broker
