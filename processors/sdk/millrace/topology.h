// millrace/topology.h: what a processor made with the stream level is: its steps, stores and outputs.
//
// <millrace/stream.h> is what one includes. A topology is made by a function,
//
//     void build(millrace::topology& t) { t.from<std::string, double>("amounts").filter(...).to("large"); }
//     MILLRACE_TOPOLOGY(build, "large-amounts", "1.0")
//
// which is called once when the object is loaded, to learn the names of outputs and stores, and once more for
// each partition. So it must make the same steps each time; what differs by deployment comes from option()
// and number(), and may change figures, not names.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "processor.h"

namespace millrace {
inline namespace sdk_v1 {

class topology;
template <class K, class V>
class stream;

namespace detail {

// A record that needs a number among those that an input record has led to has this many bits for it; those
// above are the input's.
constexpr std::uint32_t number_bits = 24;

// What one input record has led to so far.
struct work {
  context* ctx;
  const record* cause;
  std::int64_t stream_time_ms;
  std::uint64_t spent_bytes = 0;  // emitted and stored
  std::uint32_t number = 0;       // of the next entry that needs one of its own

  void put(store into, std::string_view key, std::string_view value) {
    spent_bytes += key.size() + value.size();
    ctx->put(into, key, value);
  }
  void erase(store from, std::string_view key) {
    spent_bytes += key.size();
    ctx->erase(from, key);
  }
};

// A record on its way through the steps: when it happened, and what it belongs to.
struct moment {
  work* of;
  std::int64_t timestamp_ms;
  bool is_input;  // it follows from the input record at hand, not from time that has passed

  context& ctx() const { return *of->ctx; }
  moment at(std::int64_t when_ms) const { return {of, when_ms, is_input}; }
};

// What time brings up: windows to be closed, entries to be removed. Works off what is due, the earliest
// first, until nothing is or `of.spent_bytes` has come to the limit.
using due_work = std::function<void(work& of, std::uint64_t bytes_max)>;

// For one input record, so much is worked off. What is left waits for the next that carries the time on, or
// has the stream time itself. Well below the 8 MiB that a broker allows for one record.
constexpr std::uint64_t due_bytes_max = 1 << 20;

}  // namespace detail

class topology {
 public:
  // Made by the SDK. Without `from` only names are collected.
  topology(const char* name, const char* version, const setup* from)
      : name_(name), version_(version), from_(from) {}
  topology(const topology&) = delete;
  topology& operator=(const topology&) = delete;

  // An input: records whose keys are K and values V, in serde's terms; std::optional<T> where they may be
  // null. The topic itself is what the deployment says. If there are several, `topic` is the name that it
  // maps to a topic (a-z A-Z 0-9 . _ -), and partitions with the same number are processed together. Without
  // K the keys are any bytes, or none. Defined in stream_steps.h.
  template <class K, class V>
  stream<K, V> from(const std::string& topic);
  template <class V>
  stream<std::optional<raw>, V> from(const std::string& topic);

  // The configured text, or `otherwise`, which is also what there is while names are collected.
  std::string option(std::string_view key, std::string_view otherwise) const {
    return std::string(from_ ? from_->option(key, otherwise) : otherwise);
  }
  // The configured whole number; throws if it is not one.
  std::int64_t number(std::string_view key, std::int64_t otherwise) const {
    return from_ ? from_->number(key, otherwise) : otherwise;
  }

  // The layout of what the steps keep: change it when a store means something else than before.
  void state_version(std::uint32_t version) { state_version_ = version; }
  // Headers of input records go on to what follows directly from them.
  void keep_headers() { keeps_headers_ = true; }

  // The steps as text, one a line, each behind those that it follows from, with where its records go. If
  // there are stages, each has its steps below it.
  std::string describe() const {
    std::string text = "topology " + name_ + " " + version_ + "\n";
    const std::vector<std::size_t> stages = stage_of_steps();
    const std::size_t count = count_of(stages);
    for (std::size_t stage = 0; stage < count; ++stage) {
      if (count > 1) text += "  stage " + std::to_string(stage) + "\n";
      for (std::size_t i = 0; i < steps_.size(); ++i)
        if (stages[i] == stage) text += (count > 1 ? "    " : "  ") + line_of(i);
    }
    return text;
  }
  // The same as a graph for Graphviz: `dot -Tsvg`.
  std::string graph() const {
    std::string text = "digraph \"" + quoted(name_) + "\" {\n  node [shape=box];\n";
    const std::vector<std::size_t> stages = stage_of_steps();
    const std::size_t count = count_of(stages);
    for (std::size_t stage = 0; stage < count; ++stage) {
      if (count > 1)
        text += "  subgraph cluster_" + std::to_string(stage) + " {\n  label=\"stage " +
                std::to_string(stage) + "\";\n";
      for (std::size_t i = 0; i < steps_.size(); ++i)
        if (stages[i] == stage && !steps_[i].is_passage) text += node_of(i);
      if (count > 1) text += "  }\n";
    }
    for (std::size_t i = 0; i < steps_.size(); ++i)
      if (steps_[i].is_passage) text += node_of(i);
    for (std::size_t i = 0; i < steps_.size(); ++i)
      for (const std::string& kept : steps_[i].stores)
        text += "  \"" + quoted(kept) + "\" [shape=folder];\n  s" + std::to_string(i) + " -> \"" +
                quoted(kept) + "\" [dir=both, style=dashed];\n";
    for (std::size_t i = 0; i < steps_.size(); ++i)
      for (const std::size_t source : steps_[i].sources)
        text += "  s" + std::to_string(source) + " -> s" + std::to_string(i) + ";\n";
    return text + "}\n";
  }

  // ---- For the steps themselves ----
  struct step {
    std::string what;
    std::string detail;
    std::vector<std::size_t> sources;
    std::vector<std::string> stores;
    bool is_topic = false;
    bool is_passage = false;  // a topic between what it follows from and what follows, in different stages
  };
  std::size_t add_step(step made) {
    joined_.push_back(steps_.size());
    steps_.push_back(std::move(made));
    const std::size_t number = steps_.size() - 1;
    if (!steps_[number].is_passage)
      for (const std::size_t source : steps_[number].sources) put_together(number, source);
    return number;
  }
  // A further step that it follows from.
  void add_source(std::size_t of, std::size_t source) {
    steps_.at(of).sources.push_back(source);
    put_together(of, source);
  }
  // The step that was added last.
  static constexpr std::size_t last_step = SIZE_MAX;
  // An output that `step` writes.
  output add_output(const std::string& name, std::size_t step = last_step) {
    if (name.empty()) throw failure("an output without a name");
    for (const end& known : outputs_)
      if (known.name == name && known.is_passage)
        throw failure("\"" + name + "\" is a through(), and an output, too");
    if (std::none_of(outputs_.begin(), outputs_.end(), [&](const end& o) { return o.name == name; }) &&
        outputs_.size() == definition::outputs_max)
      throw failure("a topology has at most 64 outputs");
    outputs_.push_back({name, resolved(step), false});
    return declared(&setup::output, name);
  }
  // A topic between two stages: an output of the one that has the step `from`, an input of the one of `to`.
  output add_passage(const std::string& name, std::size_t from, std::size_t to,
                     std::function<void(const record&, const detail::moment&)> source) {
    if (name.empty()) throw failure("a through() without a name");
    for (const end& known : outputs_)
      if (known.name == name) throw failure("through(\"" + name + "\"): there is an output of that name");
    for (const end& known : inputs_)
      if (known.name == name) throw failure("through(\"" + name + "\"): there is an input of that name");
    outputs_.push_back({name, from, true});
    inputs_.push_back({name, to, true});
    sources_.push_back(std::move(source));
    return declared(&setup::output, name);
  }
  // Each store belongs to one step.
  store add_store(std::size_t step, const std::string& name) {
    for (const end& known : stores_)
      if (known.name == name) throw failure("two steps call their store \"" + name + "\"");
    if (stores_.size() == definition::stores_max) throw failure("a topology has at most 16 stores");
    if (name.empty()) throw failure("a store without a name");
    stores_.push_back({name, step, false});
    steps_.at(step).stores.push_back(name);
    return declared(&setup::store, name);
  }
  // The stage of that step looks at the stream time; `due` is what it brings up.
  void add_due_work(detail::due_work due, std::size_t step = last_step) {
    due_.push_back({std::move(due), resolved(step)});
  }
  bool keeps_headers() const { return keeps_headers_; }

  std::size_t stage_count() const { return count_of(stage_of_steps()); }
  // The same as a processor's definition, of one stage. Its texts live as long as the topology.
  definition shape(std::size_t stage = 0) const {
    const std::vector<std::size_t> stages = stage_of_steps();
    definition all(name_.c_str(), version_.c_str());
    const bool is_named =
        std::count_if(inputs_.begin(), inputs_.end(), [](const end& input) { return !input.is_passage; }) > 1;
    for (const end& input : inputs_)
      if (stage_of(input, stages) == stage && (is_named || stage > 0)) all = all.input(input.name.c_str());
    std::vector<std::string> seen;  // several steps may write one output
    for (const end& output : outputs_) {
      if (stage_of(output, stages) != stage || std::find(seen.begin(), seen.end(), output.name) != seen.end())
        continue;
      seen.push_back(output.name);
      all = all.output(output.name.c_str());
    }
    for (const end& store : stores_)
      if (stage_of(store, stages) == stage) all = all.store(store.name.c_str());
    for (const due& one : due_)
      if (stage_of(one.step, stages) == stage) all = all.timers();
    if (keeps_headers_) all = all.reads_headers();
    return all.state_version(state_version_).deterministic();
  }

  static constexpr const char* depends_on_options =
      "the topology's inputs, outputs or stores depend on its options";

  // Whether both have the same inputs, outputs and stores, in the same stages.
  bool looks_like(const topology& other) const {
    return inputs_ == other.inputs_ && outputs_ == other.outputs_ && stores_ == other.stores_;
  }

  // Ready to run as the stage that it was made for. After the last step.
  void close() {
    const std::vector<std::size_t> stages = stage_of_steps();
    const std::size_t mine = from_ ? from_->stage() : 0;
    for (std::size_t i = 0; i < inputs_.size(); ++i)
      if (stage_of(inputs_[i], stages) == mine) own_sources_.push_back(i);
    for (std::size_t i = 0; i < due_.size(); ++i)
      if (stage_of(due_[i].step, stages) == mine) own_due_.push_back(i);
  }

  // What happens for one input record: first what time brings up, then the record itself.
  void run(const record& one, context& ctx) {
    detail::work all{&ctx, &one, ctx.stream_time_ms().value_or(INT64_MIN)};
    all.number = one.input_number() << detail::number_bits;  // offsets of different inputs may be equal
    if (!own_due_.empty()) {
      if (one.timestamp_ms() < 0) throw failure("the record has no timestamp");
      // Time has not moved since something was due, unless the record carries it.
      if (one.timestamp_ms() == all.stream_time_ms)
        for (const std::size_t i : own_due_) due_[i].work_off(all, detail::due_bytes_max);
    }
    if (one.input_number() >= own_sources_.size()) throw failure("the record is from an input that is none");
    sources_[own_sources_[one.input_number()]](one, detail::moment{&all, one.timestamp_ms(), true});
  }
  bool has_source() const { return !sources_.empty(); }
  // The only input.
  void set_source(std::function<void(const record&, const detail::moment&)> source) {
    add_input("input", std::move(source));
  }
  // An input that the step `step` reads.
  void add_input(const std::string& name, std::function<void(const record&, const detail::moment&)> source,
                 std::size_t step = last_step) {
    for (const end& known : inputs_)
      if (known.name == name)
        throw failure("two from() of \"" + name + "\": one stream may have several steps behind it");
    if (inputs_.size() == definition::inputs_max) throw failure("a topology has at most 16 inputs");
    inputs_.push_back({name, resolved(step), false});
    sources_.push_back(std::move(source));
  }

 private:
  // Something that has a name, and the step that it belongs to.
  struct end {
    std::string name;
    std::size_t step;
    bool is_passage;
    bool operator==(const end& other) const {
      return name == other.name && step == other.step && is_passage == other.is_passage;
    }
  };
  struct due {
    detail::due_work work_off;
    std::size_t step;
  };

  // ---- Stages: steps that are connected without a passage belong to one. Those that no passage leads to are
  // all in the first.
  void put_together(std::size_t a, std::size_t b) { joined_[root_of(a)] = root_of(b); }
  std::size_t root_of(std::size_t step) const {
    while (joined_.at(step) != step) step = joined_[step];
    return step;
  }
  std::size_t resolved(std::size_t step) const {
    if (step != last_step) return step;
    return steps_.empty() ? 0 : steps_.size() - 1;
  }
  // The number of each step's stage; a stage comes behind those that it gets records from.
  std::vector<std::size_t> stage_of_steps() const {
    constexpr std::size_t open = SIZE_MAX;
    std::vector<std::size_t> by_root(steps_.size(), 0);
    for (std::size_t i = 0; i < steps_.size(); ++i)
      if (steps_[i].is_passage) by_root[root_of(i)] = open;
    const auto is_ready = [&](std::size_t root) {
      for (std::size_t i = 0; i < steps_.size(); ++i)
        if (steps_[i].is_passage && root_of(i) == root)
          for (const std::size_t source : steps_[i].sources)
            if (by_root[root_of(source)] == open) return false;
      return true;
    };
    std::size_t next = 1;
    std::size_t left = 0;
    for (std::size_t i = 0; i < steps_.size(); ++i) left += root_of(i) == i && by_root[i] == open ? 1 : 0;
    while (left > 0) {
      std::size_t found = open;
      for (std::size_t i = 0; i < steps_.size() && found == open; ++i)
        if (by_root[root_of(i)] == open && is_ready(root_of(i))) found = root_of(i);
      if (found == open)
        throw failure(
            "records that have come through() meet those that lead there: let these come through() another "
            "time, or from() a topic of their own");
      by_root[found] = next++;
      --left;
    }
    std::vector<std::size_t> stages;
    for (std::size_t i = 0; i < steps_.size(); ++i) stages.push_back(by_root[root_of(i)]);
    return stages;
  }
  static std::size_t count_of(const std::vector<std::size_t>& stages) {
    return stages.empty() ? 1 : *std::max_element(stages.begin(), stages.end()) + 1;
  }
  static std::size_t stage_of(std::size_t step, const std::vector<std::size_t>& stages) {
    return step < stages.size() ? stages[step] : 0;
  }
  static std::size_t stage_of(const end& one, const std::vector<std::size_t>& stages) {
    return stage_of(one.step, stages);
  }

  std::string line_of(std::size_t i) const {
    std::string text = std::to_string(i) + " " + steps_[i].what;
    if (!steps_[i].detail.empty()) text += " (" + steps_[i].detail + ")";
    if (!steps_[i].stores.empty()) {
      text += " [";
      for (std::size_t k = 0; k < steps_[i].stores.size(); ++k) text += (k ? ", " : "") + steps_[i].stores[k];
      text += "]";
    }
    std::string next;
    for (std::size_t k = 0; k < steps_.size(); ++k)
      for (const std::size_t source : steps_[k].sources)
        if (source == i) next += (next.empty() ? "" : ", ") + std::to_string(k);
    if (!next.empty()) text += " -> " + next;
    return text + "\n";
  }
  std::string node_of(std::size_t i) const {
    std::string label = quoted(steps_[i].what);
    if (!steps_[i].detail.empty()) label += "\\n" + quoted(steps_[i].detail);
    return "  s" + std::to_string(i) + " [label=\"" + label + "\"" +
           (steps_[i].is_topic ? ", shape=cylinder" : "") + "];\n";
  }

  // What the definition knows under the name; while names are collected, none.
  template <class T>
  T declared(T (setup::*find)(std::string_view) const, const std::string& name) const {
    if (!from_) return T();
    try {
      return (from_->*find)(name);
    } catch (const failure&) {
      return T();  // another stage's; looks_like() tells what there should not be at all
    }
  }
  static std::string quoted(const std::string& text) {
    std::string safe;
    for (const char c : text) {
      if (c == '"' || c == '\\') safe += '\\';
      safe += c == '\n' ? ' ' : c;
    }
    return safe;
  }

  std::string name_;
  std::string version_;
  const setup* from_;
  std::uint32_t state_version_ = 1;
  bool keeps_headers_ = false;
  std::deque<end> inputs_;   // names stay in place for good: the definition points to them
  std::deque<end> outputs_;  // one for each step that writes it
  std::deque<end> stores_;
  std::vector<step> steps_;
  std::vector<std::size_t> joined_;  // by step: one that is in the same stage; itself if it stands for all
  std::vector<due> due_;
  std::vector<std::function<void(const record&, const detail::moment&)>> sources_;  // by input
  // Numbers of those of the stage that this runs as.
  std::vector<std::size_t> own_sources_;
  std::vector<std::size_t> own_due_;
};

namespace detail {

// The topology of Traits as a processor.
template <class Traits>
class topology_processor {
 public:
  explicit topology_processor(const setup& from)
      : steps_(std::make_unique<topology>(Traits::name(), Traits::version(), &from)) {
    Traits::build(*steps_);
    if (!steps_->looks_like(Traits::declared())) throw failure(topology::depends_on_options);
    if (!steps_->has_source()) throw failure("the topology has no from()");
    steps_->close();
  }
  void process(const record& one, context& ctx) { steps_->run(one, ctx); }
  // Declared for the sake of the stream time; none is ever set.
  void timer(const timer&, context&) { throw failure("a topology sets no timers"); }

 private:
  std::unique_ptr<topology> steps_;
};

}  // namespace detail

namespace detail {

// The table of one stage, and what it points to.
struct stage_table {
  definition shape;
  millrace_processor table;

  stage_table(const definition& of, const millrace_processor& like) : shape(of), table(like) {
    table.name = shape.name();
    table.version = shape.version();
    table.needs = shape.needs();
    table.traits = shape.traits();
    table.state_version = shape.state_version();
    table.input_count = static_cast<std::uint32_t>(shape.input_count());
    table.inputs = shape.inputs().data();
    table.output_count = static_cast<std::uint32_t>(shape.output_count());
    table.outputs = shape.outputs().data();
    table.store_count = static_cast<std::uint32_t>(shape.store_count());
    table.stores = shape.stores().data();
    if ((shape.needs() & MILLRACE_NEEDS_TIMERS) == 0) table.timer = nullptr;
  }
  stage_table(const stage_table&) = delete;
  stage_table& operator=(const stage_table&) = delete;
};

}  // namespace detail

// The processor's table; throws what the function that builds the topology throws.
template <class Traits>
const millrace_processor* topology_table() {
  struct all_tables {
    std::string text = Traits::declared().describe();
    std::string graph = Traits::declared().graph();
    std::deque<detail::stage_table> stages;
    std::vector<const millrace_processor*> further;
    all_tables() {
      for (std::size_t i = 0; i < Traits::declared().stage_count(); ++i)
        stages.emplace_back(Traits::declared().shape(i), *processor_adapter<Traits>::table());
      for (std::size_t i = 1; i < stages.size(); ++i) further.push_back(&stages[i].table);
      millrace_processor& first = stages.front().table;
      first.topology = text.c_str();
      first.topology_graph = graph.c_str();
      first.further_stage_count = static_cast<std::uint32_t>(further.size());
      first.further_stages = further.data();
    }
  };
  static const all_tables made;
  return &made.stages.front().table;
}

// What the object's entry returns. If there is no topology, because the function that builds it throws, a
// processor that says so when it starts.
template <class Traits>
const millrace_processor* topology_entry() noexcept {
  try {
    return topology_table<Traits>();
  } catch (...) {
    static const millrace_processor broken = [] {
      millrace_processor made = *processor_adapter<Traits>::table();
      made.name = Traits::name();
      made.version = Traits::version();
      made.needs = 0;
      made.timer = nullptr;
      return made;
    }();
    return &broken;
  }
}

// The steps that `build` makes, with the options' defaults.
inline std::string describe(void (*build)(topology&), const char* name = "topology",
                            const char* version = "") {
  topology steps(name, version, nullptr);
  build(steps);
  return steps.describe();
}

// The same as a graph for Graphviz.
inline std::string graph(void (*build)(topology&), const char* name = "topology", const char* version = "") {
  topology steps(name, version, nullptr);
  build(steps);
  return steps.graph();
}

// Everything that MILLRACE_TOPOLOGY needs, for a function.
template <void (*Build)(topology&), class Names>
struct topology_traits {
  using type = detail::topology_processor<topology_traits>;
  // What is known while compiling; the rest is in declared().
  static constexpr definition shape = define("topology", "1").timers();
  static const char* name() { return Names::name(); }
  static const char* version() { return Names::version(); }
  static void build(topology& into) { Build(into); }
  // Built once, when the object is loaded.
  static const topology& declared() {
    static const std::unique_ptr<topology> one = [] {
      auto made = std::make_unique<topology>(Names::name(), Names::version(), nullptr);
      Build(*made);
      return made;
    }();
    return *one;
  }
  static const definition& shape_for(const millrace_setup& from) {
    static const std::vector<definition> shapes = [] {
      std::vector<definition> all;
      for (std::size_t i = 0; i < declared().stage_count(); ++i) all.push_back(declared().shape(i));
      return all;
    }();
    return shapes.at(setup::stage_of(from));
  }
};

}  // namespace sdk_v1
}  // namespace millrace

// Makes the shared object's one exported symbol from a function void(millrace::topology&), a name and a
// version. Once in a shared object, outside any namespace.
#define MILLRACE_TOPOLOGY(build_function, topology_name, topology_version)                            \
  namespace {                                                                                         \
  struct millrace_topology_names {                                                                    \
    static const char* name() {                                                                       \
      return topology_name;                                                                           \
    }                                                                                                 \
    static const char* version() {                                                                    \
      return topology_version;                                                                        \
    }                                                                                                 \
  };                                                                                                  \
  }                                                                                                   \
  extern "C" MILLRACE_PROCESSOR_EXPORT const millrace_processor* millrace_processor_entry(uint32_t) { \
    return ::millrace::topology_entry<                                                                \
        ::millrace::topology_traits<&build_function, millrace_topology_names>>();                     \
  }
