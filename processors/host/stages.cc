#include "processors/host/stages.h"

#include <algorithm>
#include <set>

#include "base/limits.h"

namespace millrace::processors {
namespace {

using codes = std::vector<std::shared_ptr<const plugin>>;

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

// Names of inputs that earlier stages write.
std::set<std::string> names_between(const codes& stages) {
  std::set<std::string> between;
  for (size_t to = 1; to < stages.size(); ++to)
    for (const std::string& input : stages[to]->inputs())
      for (size_t from = 0; from < to; ++from)
        if (has(stages[from]->outputs(), input)) between.insert(input);
  return between;
}

result<void> check_whole(const processor_spec& spec, const codes& stages,
                         const std::set<std::string>& between) {
  if (spec.on_error == error_policy::reject)
    return fail(errc::invalid_config,
                "processor {}: it has several stages, so it cannot validate (on_error = \"reject\")",
                spec.name);
  if (!spec.stands_for.empty())
    return fail(errc::not_supported,
                "processor {} has several stages: replays and shadows are of processors with one",
                spec.stands_for);
  if (spec.isolated == isolation::process)
    return fail(errc::not_supported,
                "processor {}: it has several stages: isolation = \"inline\" or \"thread\" are possible",
                spec.name);
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  for (const auto& stage : stages) {
    for (const std::string& input : stage->inputs())
      if (!between.contains(input)) inputs.push_back(input);
    for (const std::string& output : stage->outputs())
      if (!between.contains(output) && !has(outputs, output)) outputs.push_back(output);
  }
  const bool is_named = !stages.front()->inputs().empty();
  if (spec.inputs.empty() && inputs.size() + (is_named ? 0 : 1) > 1)
    return fail(errc::invalid_config,
                "processor {}: it has the inputs {}; each needs a topic "
                "(inputs.{} = \"...\")",
                spec.name, fmt::join(inputs, ", "), inputs.front());
  for (const auto& [input, topic] : spec.inputs)
    if (!has(inputs, input))
      return fail(errc::invalid_config, "processor {}: it has no input {}; it has {}", spec.name, input,
                  inputs.empty() ? "one without a name (input = \"...\")"
                                 : fmt::format("{}", fmt::join(inputs, ", ")));
  for (const auto& [output, topic] : spec.outputs) {
    if (between.contains(output))
      return fail(errc::invalid_config,
                  "processor {}: {} lies between its stages, and has a topic of its own, {}", spec.name,
                  output, repartition_topic(spec.name, output));
    if (!has(outputs, output))
      return fail(errc::invalid_config, "processor {}: it has no output {}; it has {}", spec.name, output,
                  fmt::join(outputs, ", "));
  }
  for (const std::string& name : between)
    if (repartition_topic(spec.name, name).size() > limits::topic_name_max)
      return fail(errc::invalid_config, "processor {}: the name of its topic {} is too long", spec.name,
                  repartition_topic(spec.name, name));
  return {};
}

// The topics of the stage's inputs, which belong to the processor or lie between its stages.
result<void> connect_inputs(const processor_spec& whole, const plugin& code,
                            const std::set<std::string>& between, processor_spec& stage) {
  stage.inputs.clear();
  if (code.inputs().empty()) return {};
  bool reads_given = false;
  for (const std::string& input : code.inputs()) {
    if (between.contains(input)) {
      stage.inputs[input] = repartition_topic(whole.name, input);
      stage.repartitions.push_back(stage.inputs[input]);
      continue;
    }
    reads_given = true;
    if (whole.inputs.empty()) {
      stage.inputs[input] = whole.input;
    } else if (const auto at = whole.inputs.find(input); at != whole.inputs.end()) {
      stage.inputs[input] = at->second;
    } else {
      return fail(errc::invalid_config, "processor {}: its input {} has no topic (inputs.{} = \"...\")",
                  whole.name, input, input);
    }
  }
  stage.input = stage.inputs.begin()->second;
  if (stage.repartitions.empty()) return {};
  // What is sent to a stage is taken from the first record on.
  if (reads_given && whole.start != start_position::earliest)
    return fail(errc::invalid_config,
                "processor {}: a later stage reads {}, so start = \"earliest\" alone is possible", whole.name,
                fmt::join(code.inputs(), ", "));
  stage.start = start_position::earliest;
  return {};
}

}  // namespace

std::string stage_name(std::string_view whole, size_t number) {
  return number == 0 ? std::string(whole) : fmt::format("{}.stage{}", whole, number);
}

std::string repartition_topic(std::string_view whole, std::string_view name) {
  return fmt::format("{}-{}-repartition", whole, name);
}

codes stages_of(const std::shared_ptr<const plugin>& code) {
  codes all{code};
  all.insert(all.end(), code->further_stages().begin(), code->further_stages().end());
  return all;
}

result<std::vector<processor_spec>> specs_of_stages(const processor_spec& spec, const codes& stages) {
  if (stages.size() == 1) return std::vector{spec};
  const std::set<std::string> between = names_between(stages);
  MR_TRY(check_whole(spec, stages, between));
  std::vector<processor_spec> specs;
  for (size_t i = 0; i < stages.size(); ++i) {
    processor_spec& stage = specs.emplace_back(spec);
    stage.name = stage_name(spec.name, i);
    if (i > 0) stage.stage_of = spec.name;
    MR_TRY(connect_inputs(spec, *stages[i], between, stage));
    std::erase_if(stage.outputs,
                  [&](const auto& output) { return !has(stages[i]->outputs(), output.first); });
    std::erase_if(stage.partition_by,
                  [&](const auto& output) { return !stage.outputs.contains(output.first); });
    for (const std::string& output : stages[i]->outputs()) {
      if (!between.contains(output)) continue;
      stage.outputs[output] = repartition_topic(spec.name, output);
      stage.partition_by[output] = partitioning::key;
      stage.repartitions.push_back(stage.outputs[output]);
    }
  }
  return specs;
}

}  // namespace millrace::processors
