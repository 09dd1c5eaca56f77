// The part of processor_control that tells what there is.
#include <algorithm>
#include <array>
#include <tuple>

#include "broker/node.h"
#include "broker/processing/control.h"
#include "broker/processing/processing.h"
#include "runtime/shards.h"

namespace millrace::broker {

using processors::flow_state;
using runtime::task;

namespace {

// The state that needs attention most comes first.
constexpr std::array by_urgency{flow_state::paused,  flow_state::waiting, flow_state::restoring,
                                flow_state::lagging, flow_state::running, flow_state::finished,
                                flow_state::ended};

std::string_view name_of(processors::error_policy policy) {
  switch (policy) {
    case processors::error_policy::pause:
      return "pause";
    case processors::error_policy::skip:
      return "skip";
    case processors::error_policy::dead_letter:
      return "dead_letter";
    case processors::error_policy::reject:
      return "reject";
  }
  return "?";
}

void add_flows(processor_summary& s, const std::vector<processor_flow>& flows) {
  auto most_urgent = by_urgency.end();
  for (const processor_flow& f : flows) {
    if (f.processor != s.name) continue;
    ++s.partitions;
    s.lag += f.status.lag;
    s.records_in += f.status.counters.records_in;
    s.records_out += f.status.counters.records_out;
    const auto urgency = std::ranges::find(by_urgency, f.status.state);
    if (urgency >= most_urgent) continue;
    most_urgent = urgency;
    s.state = name_of(f.status.state);
    s.why = f.status.why_paused;
  }
}

}  // namespace

processor_summary processor_control::summary_of(const std::vector<processors::deployed_ptr>& stages,
                                                const std::vector<processor_flow>& flows) const {
  const processors::deployed_processor& p = *stages.front();
  processor_summary s{.name = p.spec.name,
                      .is_from_file = !whole_.stored_.contains(p.spec.name),
                      .code = p.code->name(),
                      .version = p.code->version(),
                      .content_hash = p.code->content_hash(),
                      .input = {},
                      .inputs = {},
                      .outputs = {},
                      .state = p.is_validator() ? "running" : "idle",
                      .why = {}};
  // What lies between its stages is its own business.
  std::vector<std::string> inputs;
  for (const processors::deployed_ptr& stage : stages) {
    const auto is_between = [&stage](const std::string& topic) {
      return processors::is_between_stages(stage->spec, topic);
    };
    for (const std::string& topic : stage->input_topics)
      if (!is_between(topic)) inputs.push_back(topic);
    for (const auto& [input, topic] : stage->spec.inputs)
      if (!is_between(topic)) s.inputs[input] = topic;
    for (const auto& [output, topic] : stage->spec.outputs)
      if (!is_between(topic)) s.outputs[output] = topic;
  }
  s.input = fmt::format("{}", fmt::join(inputs, ", "));
  if (const auto stored = whole_.stored_.find(p.spec.name); stored != whole_.stored_.end()) {
    s.role = name_of(stored->second.role);
    s.of = stored->second.of;
  }
  for (const processors::deployed_ptr& stage : stages) {
    if (!stage->is_held && stage->quarantined.empty()) continue;
    s.state = "paused";
    s.why = stage->is_held ? "its operator has paused it" : stage->quarantined;
  }
  add_flows(s, flows);
  return s;
}

// One whose code could not be loaded at start-up.
processor_summary processor_control::summary_of_failed(const std::string& name,
                                                       const std::string& why) const {
  const stored_processor& p = whole_.stored_.at(name);
  return {.name = name,
          .code = {},
          .version = {},
          .content_hash = p.current.content_hash,
          .input = p.current.entry.input,
          .inputs = {p.current.entry.inputs.begin(), p.current.entry.inputs.end()},
          .outputs = {p.current.entry.outputs.begin(), p.current.entry.outputs.end()},
          .state = "failed",
          .why = why};
}

task<std::vector<processor_flow>> processor_control::flows() {
  std::vector<processor_flow> all;
  for (uint32_t i = 0; i < whole_.shards_.size(); ++i) {
    const auto ask = [this, i] {
      const processors::shard_host* host = whole_.shards_[i].host.get();
      return host ? host->status() : std::vector<processors::flow_status>();
    };
    std::vector<processors::flow_status> there = co_await runtime::call_on(shard_id(i), ask);
    for (processors::flow_status& s : there) {
      const processors::deployed_ptr p = whole_.current().find(s.processor);
      all.push_back({i, p ? processors::whole_name(p->spec) : s.processor, std::move(s)});
    }
  }
  std::ranges::sort(all, {}, [](const processor_flow& f) {
    return std::tuple(f.processor, f.status.processor, f.status.partition);
  });
  co_return all;
}

task<std::vector<processor_summary>> processor_control::list() {
  const std::vector<processor_flow> there = co_await flows();
  std::vector<processor_summary> all;
  for (const processors::deployed_ptr& p : whole_.current().processors())
    if (p->spec.stage_of.empty() && !whole_.failed_.contains(p->spec.name))
      all.push_back(summary_of(whole_.current().stages_of(p->spec.name), there));
  for (const auto& [name, why] : whole_.failed_) all.push_back(summary_of_failed(name, why));
  std::ranges::sort(all, {}, &processor_summary::name);
  co_return all;
}

task<result<processor_details>> processor_control::describe(std::string name) {
  const std::vector<processor_flow> there = co_await flows();
  processor_details d;
  if (const auto failed = whole_.failed_.find(name); failed != whole_.failed_.end()) {
    const processor_entry& entry = whole_.stored_.at(name).current.entry;
    d.summary = summary_of_failed(name, failed->second);
    d.library = entry.library;
    d.options = {entry.settings.begin(), entry.settings.end()};
  } else if (const auto stages = whole_.current().stages_of(name); !stages.empty()) {
    const processors::deployed_ptr& p = stages.front();
    d.summary = summary_of(stages, there);
    d.library = p->spec.library;
    d.options = p->spec.options;
    d.on_error = name_of(p->spec.on_error);
    d.isolation = processors::name_of(p->spec.isolated);
    d.dead_letter = p->spec.dead_letter;
    for (const processors::deployed_ptr& stage : stages) {
      d.changelogs.insert(d.changelogs.end(), stage->spec.changelogs.begin(), stage->spec.changelogs.end());
      for (const std::string& topic : stage->spec.repartitions)
        if (processors::reads(stage->spec, topic)) d.repartitions.push_back(topic);
    }
    d.topology = p->code->topology();
    d.topology_graph = p->code->topology_graph();
    for (const processors::deployed_ptr& stage : stages) {
      if (!stage->memory) continue;  // which those that have state share
      d.state_bytes = stage->memory->bytes.load();
      d.state_bytes_max = stage->memory->bytes_max.load();
    }
  } else {
    co_return fail(errc::resource_not_found, "there is no processor {}", name);
  }
  if (const auto stored = whole_.stored_.find(name); stored != whole_.stored_.end()) {
    d.deployed_at_ms = stored->second.current.deployed_at_ms;
    // (Of a shadow, the one before is what promotion makes of it.)
    const bool has_history = stored->second.role == stored_role::processor;
    for (const stored_version& v : has_history ? stored->second.earlier : std::vector<stored_version>())
      d.versions.push_back({v.content_hash,
                            v.entry.library,
                            {v.entry.settings.begin(), v.entry.settings.end()},
                            v.deployed_at_ms});
  }
  for (const processor_flow& f : there)
    if (f.processor == name) d.flows.push_back(f);
  co_return d;
}

}  // namespace millrace::broker
