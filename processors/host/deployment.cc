#include "processors/host/deployment.h"

#include <algorithm>

#include "base/assert.h"
#include "processors/host/bundled_library.h"
#include "processors/host/instance.h"
#include "processors/host/stages.h"
#include "processors/host/trial.h"

namespace millrace::processors {
namespace {

// Topics by the number of the input.
result<std::vector<std::string>> map_inputs(const processor_spec& spec, const plugin& code) {
  if (spec.inputs.empty()) {
    if (code.inputs().size() > 1)
      return fail(errc::invalid_config,
                  "processor {}: it has the inputs {}; each needs a topic (inputs.{} = \"...\")", spec.name,
                  fmt::join(code.inputs(), ", "), code.inputs().front());
    return std::vector{spec.input};
  }
  std::vector<std::string> topics;
  for (const std::string& input : code.inputs()) {
    const auto at = spec.inputs.find(input);
    if (at == spec.inputs.end())
      return fail(errc::invalid_config, "processor {}: its input {} has no topic (inputs.{} = \"...\")",
                  spec.name, input, input);
    topics.push_back(at->second);
  }
  for (const auto& [input, topic] : spec.inputs)
    if (std::ranges::find(code.inputs(), input) == code.inputs().end())
      return code.inputs().empty()
                 ? fail(errc::invalid_config,
                        "processor {}: it has one input, without a name (input = \"...\")", spec.name)
                 : fail(errc::invalid_config, "processor {}: it has no input {}; it has {}", spec.name, input,
                        fmt::join(code.inputs(), ", "));
  return topics;
}

result<std::vector<std::string>> map_outputs(const processor_spec& spec, const plugin& code) {
  std::vector<std::string> topics;
  for (const std::string& output : code.outputs()) {
    const auto at = spec.outputs.find(output);
    if (at == spec.outputs.end())
      return fail(errc::invalid_config, "processor {}: its output {} has no topic (outputs.{} = \"...\")",
                  spec.name, output, output);
    topics.push_back(at->second);
  }
  for (const auto& [output, topic] : spec.outputs)
    if (std::ranges::find(code.outputs(), output) == code.outputs().end())
      return fail(errc::invalid_config, "processor {}: it has no output {}; it has {}", spec.name, output,
                  fmt::join(code.outputs(), ", "));
  return topics;
}

// The topics that hold its state: one for each store, and one for what the host keeps itself.
std::vector<std::string> changelogs_of(const processor_spec& spec, const plugin& code) {
  std::vector<std::string> topics;
  if (!code.is_stateful()) return topics;
  for (const std::string& store : code.stores()) topics.push_back(changelog_topic(spec.name, store));
  topics.push_back(changelog_topic(spec.name, "meta"));
  return topics;
}

result<void> check_role(const processor_spec& spec, const plugin& code) {
  if (spec.on_error != error_policy::reject) {
    if (code.outputs().empty() && !code.is_stateful())
      return fail(errc::invalid_config,
                  "processor {}: it has neither outputs nor stores, so it can only validate: "
                  "on_error = \"reject\"",
                  spec.name);
    return {};
  }
  if (code.is_stateful())
    return fail(errc::invalid_config,
                "processor {}: it has state, so it cannot validate (on_error = \"reject\")", spec.name);
  return {};
}

// Makes an instance and destroys it. (Of code that runs elsewhere its trial has made one.)
result<void> try_instance(const processor_spec& spec, std::shared_ptr<const plugin> code) {
  deployed_processor p;
  p.spec = spec;
  p.output_topics.resize(code->outputs().size());
  p.code = std::move(code);
  partition_state nothing(static_cast<uint32_t>(p.code->stores().size()), std::make_shared<state_memory>(0));
  if (const auto trial = instance::create(p, 0, &nothing); !trial)
    return fail(errc::invalid_config, "{}", trial.error().message);
  return {};
}

// One stage, without state so far.
result<deployed_processor> prepare_stage(processor_spec spec, std::shared_ptr<const plugin> code) {
  auto inputs = map_inputs(spec, *code);
  if (!inputs) return fail(inputs.error());
  auto topics = map_outputs(spec, *code);
  if (!topics) return fail(topics.error());
  MR_TRY(check_role(spec, *code));
  spec.changelogs = changelogs_of(spec, *code);
  deployed_processor p;
  p.id = processor_id(spec.name);
  p.state_id = state_id_of(spec.name);
  p.input_topics = std::move(*inputs);
  p.output_topics = std::move(*topics);
  p.spec = std::move(spec);
  p.code = std::move(code);
  return p;
}

}  // namespace

std::vector<std::string> deployed_processor::target_topics() const {
  std::vector<std::string> topics = output_topics;
  for (size_t i = 0; i < topics.size(); ++i)
    if (has_outbox(i)) topics[i] = outbox_topic(spec.name, code->outputs()[i]);
  topics.insert(topics.end(), spec.changelogs.begin(), spec.changelogs.end());
  if (has_several_inputs(spec)) topics.push_back(order_topic(spec.name));
  if (!spec.dead_letter.empty()) topics.push_back(spec.dead_letter);
  return topics;
}

void deployment::heed(const quarantine& accusations) {
  for (deployed_ptr& p : processors_) {
    auto heeded = std::make_shared<deployed_processor>(*p);
    if (const accusation* found = accusations.find(p->spec.name, p->code->content_hash()))
      heeded->quarantined = found->sentence();
    for (const suspicion& s : accusations.suspicions())
      if (s.processor == p->spec.name && s.content_hash == p->code->content_hash())
        heeded->suspicions.push_back(s);
    p = std::move(heeded);
  }
}

std::vector<processor_spec> deployment::specs() const {
  std::vector<processor_spec> all;
  for (const deployed_ptr& p : processors_) all.push_back(p->spec);
  return all;
}

deployed_ptr deployment::find(std::string_view name) const {
  const auto at =
      std::ranges::find_if(processors_, [&](const deployed_ptr& p) { return p->spec.name == name; });
  return at == processors_.end() ? nullptr : *at;
}

result<deployed_processor> deployment::prepare(processor_spec spec, std::shared_ptr<const plugin> code) {
  MR_TRY(check_specs({spec}));
  const auto stages = processors::stages_of(code);
  // Why it does not start comes first: a topology that cannot be built has no outputs.
  for (const auto& stage : stages)
    if (!stage->is_elsewhere()) MR_TRY(try_instance(spec, stage));
  auto specs = specs_of_stages(spec, stages);
  if (!specs) return fail(specs.error());
  const auto memory = std::make_shared<state_memory>(spec.state_bytes_max);
  std::vector<deployed_processor> all;
  for (size_t i = 0; i < stages.size(); ++i) {
    auto stage = prepare_stage(std::move((*specs)[i]), stages[i]);
    if (!stage) return fail(stage.error());
    if (stage->code->is_stateful()) stage->memory = memory;
    all.push_back(std::move(*stage));
  }
  deployed_processor first = std::move(all.front());
  first.further_stages.assign(std::make_move_iterator(all.begin() + 1), std::make_move_iterator(all.end()));
  return first;
}

result<deployed_processor> deployment::absent(processor_spec spec, std::string why) {
  MR_TRY(check_specs({spec}));
  deployed_processor p;
  p.id = processor_id(spec.name);
  p.state_id = state_id_of(spec.name);
  std::vector<std::string> outputs;
  for (const auto& [output, topic] : spec.outputs) {
    outputs.push_back(output);
    p.output_topics.push_back(topic);
  }
  p.input_topics = topics_read(spec);
  p.code = plugin::absent(std::move(outputs));
  p.spec = std::move(spec);
  p.quarantined = std::move(why);
  return p;
}

std::vector<deployed_ptr> deployment::stages_of(std::string_view name) const {
  std::vector<deployed_ptr> found;
  for (const deployed_ptr& p : processors_)
    if (whole_name(p->spec) == name) found.push_back(p);
  return found;
}

void deployment::put(deployed_processor one) {
  std::vector<deployed_processor> stages = std::move(one.further_stages);
  one.further_stages.clear();
  stages.insert(stages.begin(), std::move(one));
  // Stages that it has no more go; those it keeps stay where they are.
  std::erase_if(processors_, [&](const deployed_ptr& p) {
    return whole_name(p->spec) == stages.front().spec.name &&
           std::ranges::none_of(stages, [&](const auto& stage) { return stage.spec.name == p->spec.name; });
  });
  for (deployed_processor& stage : stages) {
    const auto at = std::ranges::find_if(processors_, [&](const deployed_ptr& p) {
      return p->spec.name == stage.spec.name && p->spec.stage_of == stage.spec.stage_of;
    });
    if (at == processors_.end()) {
      processors_.push_back(std::make_shared<deployed_processor>(std::move(stage)));
      continue;
    }
    if ((*at)->memory && stage.memory) stage.memory = (*at)->memory;
    *at = std::make_shared<deployed_processor>(std::move(stage));
  }
}

result<deployment> deployment::with(deployed_processor one) const {
  deployment next = *this;
  next.put(std::move(one));
  MR_TRY(check_specs(next.specs()));
  return next;
}

deployment deployment::without(std::string_view name) const {
  deployment next = *this;
  std::erase_if(next.processors_, [&](const deployed_ptr& p) { return whole_name(p->spec) == name; });
  return next;
}

deployment deployment::changed(std::string_view name,
                               const std::function<void(deployed_processor&)>& change) const {
  deployment next = *this;
  for (deployed_ptr& p : next.processors_) {
    if (whole_name(p->spec) != name) continue;
    auto one = std::make_shared<deployed_processor>(*p);
    change(*one);
    p = std::move(one);
  }
  return next;
}

result<std::shared_ptr<const plugin>> deployment::load_code(const processor_spec& spec,
                                                            const std::string& library,
                                                            const std::string& store_dir) {
  const auto kept = plugin::keep(library_path(library), store_dir);
  if (!kept) return fail(kept.error());
  const auto tried = try_out(spec, kept->path);
  if (!tried) return fail(tried.error().code, "{}: {}", library, tried.error().message);
  if (spec.isolated != isolation::process) return plugin::open(*kept, spec.options);
  if (!tried->code) return fail(errc::not_supported, "this program cannot start processes for processors");
  return plugin::elsewhere(*tried->code, *kept);
}

result<deployment> deployment::load(const std::vector<processor_spec>& specs, const std::string& store_dir) {
  MR_TRY(check_specs(specs));
  deployment all;
  for (const processor_spec& spec : specs) {
    auto code = load_code(spec, spec.library, store_dir);
    if (!code && code.error().code != trial_died)
      return fail(errc::invalid_config, "processor {}: {}", spec.name, code.error().message);
    auto prepared = code ? prepare(spec, *code) : absent(spec, code.error().message);
    if (!prepared) return fail(prepared.error());
    all.put(std::move(*prepared));
  }
  MR_TRY(check_specs(all.specs()));  // with the changelogs
  return all;
}

result<deployment> deployment::assemble(const std::vector<processor_spec>& specs,
                                        const std::vector<std::shared_ptr<const plugin>>& codes) {
  MR_ASSERT(specs.size() == codes.size());
  MR_TRY(check_specs(specs));
  deployment d;
  for (size_t i = 0; i < specs.size(); ++i) {
    auto prepared = prepare(specs[i], codes[i]);
    if (!prepared) return fail(prepared.error());
    d.put(std::move(*prepared));
  }
  MR_TRY(check_specs(d.specs()));  // with the changelogs
  return d;
}

}  // namespace millrace::processors
