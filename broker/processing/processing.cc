#include "broker/processing/processing.h"

#include <algorithm>

#include "base/log.h"
#include "broker/metadata/topic_registry.h"
#include "broker/node.h"
#include "broker/processing/entries.h"
#include "broker/shard_context.h"
#include "processors/host/trusted_path.h"
#include "runtime/reactor.h"
#include "runtime/shards.h"

namespace millrace::broker {
namespace {

bool is_outbox(const processors::processor_spec& spec, std::string_view topic) {
  return std::ranges::any_of(spec.partition_by, [&](const auto& output) {
    return output.second != processors::partitioning::input &&
           processors::outbox_topic(spec.name, output.first) == topic;
  });
}

// A topic that a processor reads together with `name`; null if there is none, or it does not exist.
const topic* read_beside(const processors::deployment& among, std::string_view name,
                         const metadata_image& image) {
  for (const processors::deployed_ptr& p : among.processors()) {
    if (!processors::reads(p->spec, name)) continue;
    for (const std::string& input : p->input_topics)
      if (const topic* found = input == name ? nullptr : image.find(input)) return found;
  }
  return nullptr;
}

// The topic that a replay's output stands for; nothing for a processor of its own.
std::string played_topic(const processors::deployment& among, const processors::deployed_processor& p,
                         std::string_view topic) {
  const processors::deployed_ptr played = among.find(p.spec.stands_for);
  if (!played) return {};
  for (const auto& [output, to] : p.spec.outputs)
    if (to == topic && played->spec.outputs.contains(output)) return played->spec.outputs.at(output);
  return {};
}

}  // namespace

processor_set::processor_set(processors::deployment deployed) : what(std::move(deployed)) {
  for (const processors::deployed_ptr& p : what.processors()) {
    has_absent |= p->code->is_absent();
    const std::vector<std::string> inputs = processors::topics_read(p->spec);
    topics.insert(topics.end(), inputs.begin(), inputs.end());
    const std::vector<std::string> targets = processors::topics_written(p->spec);
    topics.insert(topics.end(), targets.begin(), targets.end());
  }
  std::ranges::sort(topics);
  const auto repeated = std::ranges::unique(topics);
  topics.erase(repeated.begin(), repeated.end());
}

processing::processing(const node& whole, storage::metadata_log& log)
    : whole_(whole),
      log_(log),
      library_directory_(whole.config.data_directory + "/processors"),
      shards_(whole.config.shards) {}

result<std::unique_ptr<processing>> processing::load(const node& whole, storage::metadata_log& log) {
  std::unique_ptr<processing> made(new processing(whole, log));
  auto deployed = made->deployed_at_start();
  if (!deployed) return fail(deployed.error());
  // Whom the last run died of is not asked again.
  const auto accused = processors::quarantine::load(whole.config.data_directory);
  if (!accused) return fail(accused.error());
  for (const processors::accusation& a : accused->news())
    log::error("processor goes into quarantine processor={} why=\"{}\"", a.processor, a.sentence());
  for (const processors::suspicion& s : accused->suspicions())
    log::warn(
        "the broker was killed while a processor was called; if that happens {} times in a row at one "
        "record, "
        "that processor is paused processor={} topic={} partition={} offset={} times={}",
        processors::quarantine::kills_max, s.processor, s.topic, s.partition, s.offset, s.times);
  deployed->heed(*accused);
  for (const processors::deployed_ptr& p : deployed->processors())
    log::info("processor loaded name={} code={} version={} content={} input={}", p->spec.name,
              p->code->name(), p->code->version(), p->code->content_hash(),
              fmt::join(processors::topics_read(p->spec), ","));
  const auto set = std::make_shared<const processor_set>(std::move(*deployed));
  for (on_shard& s : made->shards_) s.set = set;
  if (!set->what.empty()) made->guard();
  return made;
}

// The file's processors, which must be right, and those deployed at run time: if one of these cannot be
// loaded any more, the broker starts with a stand-in for it, so that it can be removed or replaced.
result<processors::deployment> processing::deployed_at_start() {
  auto stored = stored_processors(log_.state());
  if (!stored) return fail(stored.error());
  stored_ = std::move(*stored);
  const auto is_held = [this](const std::string& name) {
    return log_.state().keyed.contains({stored_pause_kind, name});
  };
  std::vector<processors::processor_spec> specs;
  for (const processor_entry& entry : whole_.given.processors) {
    auto spec = spec_of(entry);
    if (!spec) return fail(spec.error());
    const auto trusted = processors::check_trusted(spec->library, processors::trust::named_by_operator);
    if (!trusted) return fail(errc::invalid_config, "{}: {}", entry.where, trusted.error().message);
    if (stored_.contains(spec->name))
      return fail(
          errc::invalid_config,
          "{}: a processor {} was deployed at run time; remove that first, or name this one otherwise",
          entry.where, spec->name);
    specs.push_back(*std::move(spec));
  }
  auto from_file = processors::deployment::load(specs, library_directory_);
  if (!from_file) return from_file;
  processors::deployment all = std::move(*from_file);
  for (const processors::processor_spec& spec : specs) {
    if (is_held(spec.name)) all = as_held(all, spec.name, true);
  }
  for (const auto& [name, p] : stored_) {
    if (p.is_leaving) continue;
    auto next = deploy_stored(all, p, is_held(name));
    if (next) {
      all = std::move(*next);
      continue;
    }
    failed_[name] = next.error().message;
    log::error("processor is not running processor={} why=\"{}\"", name, next.error().message);
    // Its topics stay closed to others all the same, if what is known of it still fits the rest.
    auto spec = spec_of(p);
    if (!spec) continue;
    auto stand_in = processors::deployment::absent(*std::move(spec), next.error().message);
    if (!stand_in) continue;
    auto with_it = all.with(std::move(*stand_in));
    if (with_it) all = std::move(*with_it);
  }
  return all;
}

result<processors::deployment> processing::deploy_stored(const processors::deployment& among,
                                                         const stored_processor& p, bool is_held) const {
  auto spec = spec_of(p);
  if (!spec) return fail(spec.error());
  auto code =
      processors::deployment::load_code(*spec, library_of(p.current.content_hash), library_directory_);
  if (!code) return fail(code.error());
  if ((*code)->content_hash() != p.current.content_hash)
    return fail(errc::corruption, "{} is damaged", library_of(p.current.content_hash));
  auto prepared = processors::deployment::prepare(std::move(*spec), std::move(*code));
  if (!prepared) return fail(prepared.error());
  auto all = among.with(std::move(*prepared));
  if (!all) return all;
  return as_held(*all, p.current.entry.name, is_held);
}

std::string processing::library_of(const std::string& content_hash) const {
  return fmt::format("{}/{}.so", library_directory_, content_hash);
}

// With all its stages.
processors::deployment processing::as_held(const processors::deployment& among, const std::string& name,
                                           bool is_held) {
  return among.changed(name, [is_held](processors::deployed_processor& stage) { stage.is_held = is_held; });
}

// Notes and watches what processors do. Once, before the first of them runs.
void processing::guard() {
  if (watchdog_) return;
  processors::install_handlers();
  watchdog_ = std::make_unique<processors::watchdog>(whole_.given.integer("processor.deadline.ms"),
                                                     whole_.given.integer("processor.call.memory.max.bytes"));
  for (size_t i = 0; i < shards_.size(); ++i) {
    shards_[i].crumb = std::make_shared<processors::breadcrumb>(
        fmt::format("{}/breadcrumb-{}", whole_.config.data_directory, i));
    watchdog_->watch(shards_[i].crumb);
  }
}

void processing::start(shard_context& context) {
  if (!current_on(context.id()).empty()) start_host(context);
  context.on_publish(
      [this, &context](const image_ptr& before, const image_ptr& now) { follow(context, *before, *now); });
}

void processing::start_host(shard_context& context) {
  on_shard& here = shards_[context.id().value()];
  processors::host_options options;
  options.state_directory = whole_.config.data_directory + "/state";
  options.crumb = here.crumb.get();
  options.others = this;
  options.batch_budget = std::chrono::microseconds(whole_.given.integer("processor.batch.budget.us"));
  options.turn_budget = std::chrono::microseconds(whole_.given.integer("processor.turn.budget.us"));
  options.overruns_max = static_cast<uint32_t>(whole_.given.integer("processor.overruns.max"));
  options.deadline = std::chrono::milliseconds(whole_.given.integer("processor.deadline.ms"));
  options.has_threads = true;
  options.crumb_of_thread = [this, id = context.id(), made = 0]() mutable {
    auto crumb = std::make_shared<processors::breadcrumb>(
        fmt::format("{}/breadcrumb-{}-{}", whole_.config.data_directory, id.value(), made++));
    watchdog_->watch(crumb);
    return crumb;
  };
  processors::guard_thread();
  here.host = std::make_unique<processors::shard_host>(here.set->what, context.store(), std::move(options));
  here.validators = std::make_unique<processors::validators>(here.set->what, here.crumb.get());
  here.host->start();
}

runtime::task<void> processing::finish_begun(shard_context& context) {
  co_await control_.finish_begun();
  co_await complete_topics(context);
}

runtime::task<void> processing::stop(shard_id shard) {
  on_shard& here = shards_[shard.value()];
  if (!here.host) co_return;
  co_await here.host->close();
  here.host.reset();
  here.validators.reset();
}

// Hands another set to every shard, and sees to its topics.
runtime::task<void> processing::adopt(processors::deployment now) {
  guard();
  const auto set = std::make_shared<const processor_set>(std::move(now));
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    const auto adopt_there = [this, i, &set] { return adopt_here(shard_id(i), set); };
    co_await runtime::call_on(shard_id(i), adopt_there);
  }
  co_await complete_topics(*whole_.shards[0]);
}

runtime::task<void> processing::adopt_here(shard_id shard, processor_set_ptr now) {
  on_shard& here = shards_[shard.value()];
  here.set = std::move(now);
  if (!here.host) {
    start_host(*whole_.shards[shard.value()]);
    co_return;
  }
  here.validators->adopt(here.set->what);
  co_await here.host->adopt(here.set->what);
}

// Tells the host what has changed among the topics of its processors.
void processing::follow(shard_context& context, const metadata_image& before, const metadata_image& now) {
  processors::shard_host* host = shards_[context.id().value()].host.get();
  if (!host) return;
  const uint32_t shards = static_cast<uint32_t>(shards_.size());
  bool has_news = false;
  for (const std::string& name : shards_[context.id().value()].set->topics) {
    const topic* old = before.find(name);
    const topic* current = now.find(name);
    const bool is_same = old && current && old->id == current->id;
    if (old && !is_same) {
      for (int32_t p = 0; p < old->partitions; ++p)
        if (old->owner(p, shards) == context.id()) host->partition_removed(old->partition(p));
    }
    if (!current) continue;
    for (int32_t p = is_same ? old->partitions : 0; p < current->partitions; ++p) {
      has_news = true;
      if (current->owner(p, shards) != context.id()) continue;
      if (const storage::partition_log* log = context.store().find(current->partition(p)))
        host->partition_opened(*log);
    }
  }
  host->topics_changed();
  // Outputs follow their input. Not from inside of the change that brought the input.
  const bool may_spawn = !context.stopping.is_aborted() && !context.background.is_closed();
  if (has_news && context.id() == shard_id(0) && may_spawn)
    context.background.spawn(complete_topics(context));
}

runtime::task<void> processing::complete_topics(shard_context& context) {
  topic_registry& registry = *context.whole().topics;
  const processor_set_ptr set = shards_[0].set;
  for (const processors::deployed_ptr& deployed : set->what.processors()) {
    const processors::deployed_processor& p = *deployed;
    const std::vector<std::string> beside = processors::topics_beside(p.spec);
    if (const result<void> fit = check_inputs(p, *context.image(), shard_count()); !fit) {
      log::error("processor cannot use its inputs: {}", fit.error().message);
      continue;
    }
    for (const std::string& name : processors::topics_written(p.spec)) {
      const image_ptr image = context.image();
      const topic* input = image->find(p.spec.input);
      if (!input) continue;
      const topic* output = image->find(name);
      const bool is_beside = std::ranges::find(beside, name) != beside.end();
      result<void> done;
      if (!output) {
        std::vector<new_topic> wanted;
        // What is derived is as durable as what it is derived from; anything else would be refused. A
        // changelog keeps the last value of each key for good.
        const bool is_changelog = std::ranges::find(p.spec.changelogs, name) != p.spec.changelogs.end();
        topic_overrides overrides;
        if (is_changelog) overrides = {{"cleanup.policy", "compact"}};
        // Records leave what is only on the way by trimming alone, segment by segment, when they have been
        // taken, and with the time they came with, however old that is.
        const bool is_repartition = processors::is_between_stages(p.spec, name);
        if (is_repartition || is_outbox(p.spec, name))
          overrides = {{"cleanup.policy", "delete"},
                       {"retention.ms", "-1"},
                       {"retention.bytes", "-1"},
                       {"segment.bytes", "16777216"},
                       {"message.timestamp.type", "CreateTime"}};
        if (const auto kept = input->overrides.find("durability"); kept != input->overrides.end())
          overrides.insert(*kept);
        // What is sent to other partitions goes to as many as the processor's own that is played again.
        const topic* model = is_beside ? nullptr : image->find(played_topic(set->what, p, name));
        // Between stages it has as many as what the next stage reads beside it.
        if (is_repartition) model = read_beside(set->what, name, *image);
        wanted.push_back({.name = name,
                          .partitions = model ? model->partitions : input->partitions,
                          .overrides = std::move(overrides),
                          .placement_seed = is_beside ? std::optional(input->placement_seed) : std::nullopt});
        const auto created = co_await registry.create(std::move(wanted), false);
        if (!created[0] && created[0].error().code != errc::topic_already_exists)
          done = fail(created[0].error());
      } else if (output->settings.kept != input->settings.kept) {
        done = fail(errc::invalid_config,
                    "input {} and output {} differ in durability: they need the same, so create one anew",
                    input->name, output->name);
      } else if (is_beside && output->partitions < input->partitions) {
        done = co_await registry.add_partitions(output->id, input->partitions, false);
      }
      if (!done)
        log::error("processor cannot use its output topic processor={} topic={} why=\"{}\"", p.spec.name,
                   name, to_string(done.error()));
    }
  }
}

result<void> check_inputs(const processors::deployed_processor& p, const metadata_image& image,
                          uint32_t shards) {
  const topic* first = image.find(p.input_topics.front());
  if (!first) return {};
  for (const std::string& name : p.input_topics) {
    const topic* other = image.find(name);
    if (!other || other == first) continue;
    if (other->partitions != first->partitions)
      return fail(errc::invalid_config,
                  "processor {}: its inputs {} and {} have {} and {} partitions; with as many in both, "
                  "records of one "
                  "key meet (an output with partition_by = \"key\" brings records to a topic with as many as "
                  "you want)",
                  p.spec.name, first->name, name, first->partitions, other->partitions);
    if (other->settings.kept != first->settings.kept)
      return fail(errc::invalid_config, "processor {}: its inputs {} and {} differ in durability",
                  p.spec.name, first->name, name);
    if (other->owner(0, shards) != first->owner(0, shards))
      return fail(
          errc::invalid_config,
          "processor {}: its inputs {} and {} have their partitions on different shards; create one of them "
          "anew once the processor is deployed, and the broker puts it beside the other",
          p.spec.name, first->name, name);
  }
  return {};
}

std::optional<std::string> processing::refusal_of_growth(shard_id shard, std::string_view topic) const {
  const processor_set& set = *shards_[shard.value()].set;
  if (!std::ranges::binary_search(set.topics, topic)) return std::nullopt;
  const std::vector<processors::processor_spec> specs = set.what.specs();
  const std::string flow = processors::flow_of(specs, topic);
  for (const processors::processor_spec& s : specs)
    for (const auto& [output, to] : s.outputs)
      if (to == topic && processors::partitioning_of(s, output) != processors::partitioning::input)
        return fmt::format(
            "processor {} sends records to its partitions by key, and more partitions would send keys "
            "elsewhere. "
            "Create another topic with as many as you want, and let the processor write to that.",
            s.name);
  for (const processors::processor_spec& s : specs)
    if (processors::has_several_inputs(s) && processors::flow_of(specs, s.input) == flow)
      return fmt::format(
          "processor {} brings records of {} together by partition, and more partitions would part them. "
          "Create "
          "other topics with as many as you want, and a processor of another name on them.",
          s.name, fmt::join(processors::topics_read(s), " and "));
  for (const processors::processor_spec& s : specs)
    if (!s.changelogs.empty() && processors::flow_of(specs, s.input) == flow)
      return fmt::format(
          "processor {} keeps state by partition, and more partitions would send keys away from theirs. "
          "Create "
          "another topic with as many as you want, and a processor of another name on it.",
          s.name);
  return std::nullopt;
}

std::optional<std::string> processing::refusal_of_changes(shard_id shard, std::string_view topic) const {
  const processor_set& set = *shards_[shard.value()].set;
  if (set.has_absent)
    for (const processors::deployed_ptr& p : set.what.processors()) {
      if (!p->code->is_absent()) continue;
      if (processors::may_be_changelog(p->spec.name, topic))
        return fmt::format("the topic holds the state of processor {}", p->spec.name);
      if (processors::may_be_between_stages(p->spec.name, topic))
        return fmt::format("the topic holds what processor {} sends to other partitions", p->spec.name);
    }
  if (!std::ranges::binary_search(set.topics, topic)) return std::nullopt;
  for (const processors::deployed_ptr& deployed : set.what.processors()) {
    const processors::deployed_processor& p = *deployed;
    if (std::ranges::find(p.spec.changelogs, topic) != p.spec.changelogs.end())
      return fmt::format("the topic holds the state of processor {}", p.spec.name);
    if (is_outbox(p.spec, topic))
      return fmt::format("the topic holds what processor {} sends to other partitions", p.spec.name);
    if (processors::has_several_inputs(p.spec) && processors::order_topic(p.spec.name) == topic)
      return fmt::format("the topic holds the order in which processor {} took the records of its inputs",
                         p.spec.name);
  }
  return std::nullopt;
}

std::optional<std::string> processing::refusal_of_writes(shard_id shard, std::string_view topic) const {
  const processor_set& set = *shards_[shard.value()].set;
  if (!set.has_absent && !std::ranges::binary_search(set.topics, topic)) return std::nullopt;
  if (auto why = refusal_of_changes(shard, topic)) return why;
  for (const processors::deployed_ptr& deployed : set.what.processors()) {
    const processors::deployed_processor& p = *deployed;
    if (processors::is_between_stages(p.spec, topic))
      return fmt::format("the topic lies between stages of processor {}", processors::whole_name(p.spec));
    const std::vector<std::string> targets = processors::topics_written(p.spec);
    if (!p.spec.has_external_writes && std::ranges::find(targets, topic) != targets.end())
      return fmt::format(
          "the topic is written by processor {}; external_writes = true lets others write, too", p.spec.name);
  }
  return std::nullopt;
}

std::optional<processors::output_topic> processing::find(const std::string& name) const {
  const shard_context& context = *whole_.shards[runtime::reactor::current().id().value()];
  const topic* found = context.image()->find(name);
  if (!found) return std::nullopt;
  return processors::output_topic{found->id, found->partitions, found->placement_seed,
                                  topic_registry::partition_config_of(found->settings).durability};
}

processors::inbox* processing::here() const {
  const auto& host = shards_[runtime::reactor::current().id().value()].host;
  return host ? &host->incoming() : nullptr;
}

std::optional<protocol::batch_error> processing::validate(shard_id shard, const storage::partition_log& log,
                                                          const protocol::checked_batch& batch) {
  processors::validators* there = shards_[shard.value()].validators.get();
  return there ? there->check(log, batch) : std::nullopt;
}

std::optional<uint32_t> processing::placement_of(std::string_view name, const metadata_image& image) const {
  const processor_set& set = *shards_[0].set;
  if (!std::ranges::binary_search(set.topics, name)) return std::nullopt;
  const std::vector<processors::processor_spec> specs = set.what.specs();
  const std::string flow = processors::flow_of(specs, name);
  for (const std::string& other : set.topics) {
    const topic* there = image.find(other);
    if (there && processors::flow_of(specs, other) == flow) return there->placement_seed;
  }
  return std::nullopt;
}

}  // namespace millrace::broker
