// random_topology: chains and trees of processors that nobody has thought of.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.h"
#include "processors/host/stages.h"
#include "tests/processors/random_codes.h"

namespace millrace::processors::kit {

struct topology {
  std::vector<std::string> sources;
  std::vector<processor_spec> specs;  // inputs come before what reads them
  std::vector<std::shared_ptr<const plugin>> codes;
  std::shared_ptr<const deployment> deployed;
  // Sources, and topics whose records come from other partitions: where pictures of what follows begin.
  std::vector<std::string> roots;
  std::map<std::string, int32_t> partitions;  // of each topic
  // A replay of one of them, which may be deployed later; its topics are there.
  std::optional<deployed_processor> replay;
  // And a shadow of one whose records stay with their partition.
  std::optional<deployed_processor> shadow;
  std::vector<processor_spec> all_specs;  // with those of both

  // Of each processor, by the name that its operator knows it by.
  std::map<std::string, std::string> kinds;

  std::vector<std::string> topics() const {
    std::vector<std::string> all;
    for (const auto& [topic, count] : partitions) all.push_back(topic);
    return all;
  }
  bool is_source(const std::string& topic) const {
    return std::ranges::find(sources, topic) != sources.end();
  }
};

// What follows from these topics partition by partition.
inline std::vector<std::string> derived_beside(const topology& t, const std::vector<std::string>& roots) {
  std::vector<std::string> found = roots;
  for (size_t i = 0; i < found.size(); ++i)
    for (const processor_spec& spec : t.deployed->specs())
      if (reads(spec, found[i]))
        for (const std::string& next : topics_beside(spec))
          if (std::ranges::find(found, next) == found.end()) found.push_back(next);
  found.erase(found.begin(), found.begin() + static_cast<ptrdiff_t>(roots.size()));
  return found;
}

// The topics that the processor writes; `count_of` says how many partitions those have that it sends to.
template <class CountOf>
void add_topics(topology& t, const deployed_processor& p, CountOf count_of) {
  const int32_t count = t.partitions.at(p.spec.input);
  for (const std::string& topic : p.target_topics()) t.partitions[topic] = count;
  for (size_t i = 0; i < p.output_topics.size(); ++i) {
    if (!p.has_outbox(i)) continue;
    t.roots.push_back(p.output_topics[i]);
    t.partitions[p.output_topics[i]] = count_of(p.output_topics[i]);
  }
}

// Figures of the processor of that name, by chance.
inline std::map<std::string, std::string> random_options(std::string_view code, prng& random) {
  std::map<std::string, std::string> options;
  const auto set = [&](const char* name, int64_t low, int64_t high) {
    const int64_t value = random.between(low, high);
    options[name] = std::to_string(value);
    return value;
  };
  set("salt", 0, 99);
  if (code == windowed_sums_names::name()) {
    const int64_t size = set("size", 20, 200);
    set("advance", std::max<int64_t>(size / 3, 1), size);
    if (random.below(3) == 0) options["advance"] = options["size"];  // tumbling
    set("gap", 5, 25);
    set("difference", 5, 25);
    set("grace", 0, 150);
    set("on_close", 0, 7);
  }
  if (code == joined_names::name() || code == across_names::name()) {
    set("before", 0, 30);
    set("after", 0, 30);
    set("grace", 0, 120);
  }
  return options;
}

// What the first processors of a topology are.
struct beginning {
  std::shared_ptr<const plugin> first;
  std::shared_ptr<const plugin> second;  // it reads what the first one makes
};

// So many seeds in a row have all beginnings there are.
inline size_t beginnings() {
  return first_codes().size() * all_codes().size();
}
inline beginning beginning_of(uint64_t seed) {
  const size_t firsts = first_codes().size();
  return {first_codes()[seed % firsts], all_codes()[seed / firsts % all_codes().size()]};
}

// Two processors or more.
inline topology random_topology(prng& random, const beginning& begin) {
  topology t;
  const bool has_processes = random.below(12) == 0;  // which take real time to start
  t.sources = {"s0"};
  if (random.below(3) == 0) t.sources.push_back("s1");
  std::vector<std::string> inputs = t.sources;
  std::map<std::string, int32_t> counts;  // of their partitions
  for (const std::string& source : t.sources) counts[source] = 4;
  const uint64_t count = 2 + random.below(5);
  uint64_t stages_left = depth_max - count;  // a chain of them all must be possible
  for (uint64_t i = 0; i < count; ++i) {
    std::shared_ptr<const plugin> code = all_codes()[static_cast<size_t>(random.below(all_codes().size()))];
    if (i == 0) code = begin.first;
    if (i == 1) code = begin.second;
    // Of the newest topics more often than of the others, for the sake of chains.
    size_t read = random.below(2) == 0 ? inputs.size() - 1 : static_cast<size_t>(random.below(inputs.size()));
    if (i == 1) read = t.sources.size() + static_cast<size_t>(random.below(inputs.size() - t.sources.size()));
    const std::string input = inputs[read];
    std::string other;
    for (const std::string& topic : inputs)
      if (topic != input && counts[topic] == counts[input] && (other.empty() || random.below(2) == 0))
        other = topic;
    if (code->inputs().size() > 1 && other.empty()) code = all_codes().front();
    if (!code->further_stages().empty() && stages_left == 0) code = all_codes().front();
    processor_spec spec =
        spec_for(*code, "p" + std::to_string(i), input, random_options(code->name(), random));
    spec.outputs.clear();
    for (const std::string& output : code->outputs()) spec.outputs[output] = spec.name + "." + output;
    const bool is_staged = !code->further_stages().empty();
    if (is_staged) --stages_left;
    if (is_staged) spec.outputs = {{"out", spec.name + ".out"}};
    if (code->inputs().size() > 1) {
      spec.inputs = {{"left", input}, {"right", other}};
      if (random.below(2) == 0) std::swap(spec.inputs["left"], spec.inputs["right"]);
      spec.input = spec.inputs.begin()->second;
    }
    if (code->name() == "scatterer") {
      spec.partition_by["out"] = random.below(2) == 0 ? partitioning::key : partitioning::processor;
      if (spec.partition_by["out"] == partitioning::processor) spec.options["choice"] = "its own";
    }
    if (random.below(4) == 0) spec.outbox_bytes_max = 64 * 1024;
    spec.on_error = error_policy::skip;
    // (Whose dead letters come first, those of one stage or of the other, nothing says.)
    if (random.below(2) == 0 && !is_staged) {
      spec.on_error = error_policy::dead_letter;
      spec.dead_letter = spec.name + ".dead";
    }
    spec.retries = random.below(4) == 0 ? 1 : 0;
    spec.retry_backoff_ms = 1;
    if (random.below(3) == 0) spec.isolated = isolation::thread;
    if (has_processes && random.below(2) == 0 && !is_staged) {
      spec.isolated = isolation::process;
      code = elsewhere(code);
    }
    spec.output_compression = random.below(3) == 0 ? protocol::codec::lz4 : protocol::codec::none;
    int32_t beside = counts[input];
    if (is_staged) {
      beside = static_cast<int32_t>(1 + random.below(5));
      counts[repartition_topic(spec.name, "between")] = beside;
    }
    for (const auto& [output, topic] : spec.outputs) {
      inputs.push_back(topic);
      const bool is_beside = partitioning_of(spec, output) == partitioning::input;
      counts[topic] = is_beside ? beside : static_cast<int32_t>(1 + random.below(5));
      // The second one may have to find another topic with as many.
      if (i == 0 && begin.second->inputs().size() > 1) counts[topic] = counts[input];
    }
    t.kinds[spec.name] = code->name();
    t.specs.push_back(spec);
    t.codes.push_back(code);
  }
  t.deployed = std::make_shared<const deployment>(deployment::assemble(t.specs, t.codes).value());
  t.roots = t.sources;
  for (const std::string& source : t.sources) t.partitions[source] = 4;
  for (const deployed_ptr& deployed : t.deployed->processors())
    add_topics(t, *deployed, [&](const std::string& topic) { return counts.at(topic); });
  const auto with_one_input = [&] {
    const size_t chosen = static_cast<size_t>(random.below(t.specs.size()));
    return has_several_inputs(t.specs[chosen]) || !t.codes[chosen]->further_stages().empty() ? 0 : chosen;
  };
  const size_t replayed = with_one_input();
  processor_spec again = t.specs[replayed];
  again.stands_for = again.name;
  again.name += ".replay";
  for (auto& [output, topic] : again.outputs) topic += ".replay";
  if (!again.dead_letter.empty()) again.dead_letter += ".replay";
  t.replay = deployment::prepare(again, t.codes[replayed]).value();
  const auto as_the_first = [&](const std::string& topic) {
    return t.partitions.at(topic.substr(0, topic.size() - std::string_view(".replay").size()));
  };
  add_topics(t, *t.replay, as_the_first);
  t.all_specs = t.deployed->specs();
  t.all_specs.push_back(t.replay->spec);
  const size_t shadowed = with_one_input();
  if (t.specs[shadowed].partition_by.empty()) {
    processor_spec beside = t.specs[shadowed];
    beside.stands_for = beside.name;
    beside.is_shadow = true;
    beside.name += ".shadow";
    for (auto& [output, topic] : beside.outputs) topic += ".shadow";
    if (!beside.dead_letter.empty()) beside.dead_letter += ".shadow";
    t.shadow = deployment::prepare(beside, t.codes[shadowed]).value();
    add_topics(t, *t.shadow, as_the_first);
    t.all_specs.push_back(t.shadow->spec);
  }
  return t;
}

// Topics with what follows from the sources' records alone, wherever their batches begin and end, provided
// that processors with several inputs do not run before all records of all inputs are there. (The order in
// which records of several partitions arrive somewhere depends on the moment.)
struct settled_topics {
  std::set<std::string> beside;      // in the partition of their causes
  std::set<std::string> sent;        // in any, so that one sender's records are in order
  std::set<std::string> changelogs;  // what they fold up to
};
inline settled_topics settled_by_sources(const topology& t) {
  settled_topics all;
  all.beside = {t.sources.begin(), t.sources.end()};
  for (const deployed_ptr& p : t.deployed->processors()) {
    const auto is_settled = [&](const std::string& topic) { return all.beside.contains(topic); };
    if (!std::ranges::all_of(p->input_topics, is_settled)) continue;
    for (size_t i = 0; i < p->output_topics.size(); ++i)
      (p->has_outbox(i) ? all.sent : all.beside).insert(p->output_topics[i]);
    if (!p->spec.dead_letter.empty()) all.beside.insert(p->spec.dead_letter);
    for (size_t i = 0; i < p->code->stores().size(); ++i) all.changelogs.insert(p->spec.changelogs[i]);
  }
  return all;
}

}  // namespace millrace::processors::kit
