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

  // The steps as text, one a line, each behind those that it follows from, with where its records go.
  std::string describe() const {
    std::string text = "topology " + name_ + " " + version_ + "\n";
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      text += "  " + std::to_string(i) + " " + steps_[i].what;
      if (!steps_[i].detail.empty()) text += " (" + steps_[i].detail + ")";
      if (!steps_[i].stores.empty()) {
        text += " [";
        for (std::size_t k = 0; k < steps_[i].stores.size(); ++k)
          text += (k ? ", " : "") + steps_[i].stores[k];
        text += "]";
      }
      std::string next;
      for (std::size_t k = 0; k < steps_.size(); ++k)
        for (const std::size_t source : steps_[k].sources)
          if (source == i) next += (next.empty() ? "" : ", ") + std::to_string(k);
      if (!next.empty()) text += " -> " + next;
      text += "\n";
    }
    return text;
  }
  // The same as a graph for Graphviz: `dot -Tsvg`.
  std::string graph() const {
    std::string text = "digraph \"" + quoted(name_) + "\" {\n  node [shape=box];\n";
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      std::string label = quoted(steps_[i].what);
      if (!steps_[i].detail.empty()) label += "\\n" + quoted(steps_[i].detail);
      text += "  s" + std::to_string(i) + " [label=\"" + label + "\"" +
              (steps_[i].is_topic ? ", shape=cylinder" : "") + "];\n";
    }
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
  };
  std::size_t add_step(step made) {
    steps_.push_back(std::move(made));
    return steps_.size() - 1;
  }
  // A further step that it follows from.
  void add_source(std::size_t of, std::size_t source) { steps_.at(of).sources.push_back(source); }
  output add_output(const std::string& name) {
    for (const std::string& known : outputs_)
      if (known == name) return declared(&setup::output, name);
    if (outputs_.size() == definition::outputs_max) throw failure("a topology has at most 64 outputs");
    if (name.empty()) throw failure("an output without a name");
    outputs_.push_back(name);
    return declared(&setup::output, name);
  }
  // Each store belongs to one step.
  store add_store(std::size_t step, const std::string& name) {
    for (const std::string& known : stores_)
      if (known == name) throw failure("two steps call their store \"" + name + "\"");
    if (stores_.size() == definition::stores_max) throw failure("a topology has at most 16 stores");
    if (name.empty()) throw failure("a store without a name");
    stores_.push_back(name);
    steps_.at(step).stores.push_back(name);
    return declared(&setup::store, name);
  }
  // The steps look at the stream time; `due` is what it brings up.
  void add_due_work(detail::due_work due) { due_.push_back(std::move(due)); }
  bool keeps_headers() const { return keeps_headers_; }
  const std::deque<std::string>& inputs() const { return inputs_; }
  const std::deque<std::string>& outputs() const { return outputs_; }
  const std::deque<std::string>& stores() const { return stores_; }

  // The same as a processor's definition. Its texts live as long as the topology.
  definition shape() const {
    definition all(name_.c_str(), version_.c_str());
    if (inputs_.size() > 1)
      for (const std::string& name : inputs_) all = all.input(name.c_str());
    for (const std::string& name : outputs_) all = all.output(name.c_str());
    for (const std::string& name : stores_) all = all.store(name.c_str());
    if (!due_.empty()) all = all.timers();
    if (keeps_headers_) all = all.reads_headers();
    return all.state_version(state_version_).deterministic();
  }

  static constexpr const char* depends_on_options =
      "the topology's inputs, outputs or stores depend on its options";

  // What happens for one input record: first what time brings up, then the record itself.
  void run(const record& one, context& ctx) {
    detail::work all{&ctx, &one, ctx.stream_time_ms().value_or(INT64_MIN)};
    all.number = one.input_number() << detail::number_bits;  // offsets of different inputs may be equal
    if (!due_.empty()) {
      if (one.timestamp_ms() < 0) throw failure("the record has no timestamp");
      // Time has not moved since something was due, unless the record carries it.
      if (one.timestamp_ms() == all.stream_time_ms)
        for (const detail::due_work& due : due_) due(all, detail::due_bytes_max);
    }
    if (one.input_number() >= sources_.size()) throw failure("the record is from an input that is none");
    sources_[one.input_number()](one, detail::moment{&all, one.timestamp_ms(), true});
  }
  bool has_source() const { return !sources_.empty(); }
  // The only input.
  void set_source(std::function<void(const record&, const detail::moment&)> source) {
    add_input("input", std::move(source));
  }
  void add_input(const std::string& name, std::function<void(const record&, const detail::moment&)> source) {
    for (const std::string& known : inputs_)
      if (known == name)
        throw failure("two from() of \"" + name + "\": one stream may have several steps behind it");
    if (inputs_.size() == definition::inputs_max) throw failure("a topology has at most 16 inputs");
    inputs_.push_back(name);
    sources_.push_back(std::move(source));
  }

 private:
  // What the definition knows under the name; while names are collected, none.
  template <class T>
  T declared(T (setup::*find)(std::string_view) const, const std::string& name) const {
    if (!from_) return T();
    try {
      return (from_->*find)(name);
    } catch (const failure&) {
      throw failure(depends_on_options);
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
  std::deque<std::string> inputs_;
  std::deque<std::string> outputs_;  // in place for good: the definition points to them
  std::deque<std::string> stores_;
  std::vector<step> steps_;
  std::vector<detail::due_work> due_;
  std::vector<std::function<void(const record&, const detail::moment&)>> sources_;  // by input
};

namespace detail {

// The topology of Traits as a processor.
template <class Traits>
class topology_processor {
 public:
  explicit topology_processor(const setup& from)
      : steps_(std::make_unique<topology>(Traits::name(), Traits::version(), &from)) {
    Traits::build(*steps_);
    const topology& declared = Traits::declared();
    if (steps_->inputs() != declared.inputs() || steps_->outputs() != declared.outputs() ||
        steps_->stores() != declared.stores())
      throw failure(topology::depends_on_options);
    if (!steps_->has_source()) throw failure("the topology has no from()");
  }
  void process(const record& one, context& ctx) { steps_->run(one, ctx); }
  // Declared for the sake of the stream time; none is ever set.
  void timer(const timer&, context&) { throw failure("a topology sets no timers"); }

 private:
  std::unique_ptr<topology> steps_;
};

}  // namespace detail

// The processor's table; throws what the function that builds the topology throws.
template <class Traits>
const millrace_processor* topology_table() {
  static const millrace_processor table = [] {
    const definition shape = Traits::declared().shape();
    millrace_processor made = *processor_adapter<Traits>::table();
    static const auto inputs = shape.inputs();
    static const auto outputs = shape.outputs();
    static const auto stores = shape.stores();
    static const std::string text = Traits::declared().describe();
    static const std::string graph = Traits::declared().graph();
    made.topology = text.c_str();
    made.topology_graph = graph.c_str();
    made.name = shape.name();
    made.version = shape.version();
    made.needs = shape.needs();
    made.traits = shape.traits();
    made.state_version = shape.state_version();
    made.input_count = static_cast<std::uint32_t>(shape.input_count());
    made.inputs = inputs.data();
    made.output_count = static_cast<std::uint32_t>(shape.output_count());
    made.outputs = outputs.data();
    made.store_count = static_cast<std::uint32_t>(shape.store_count());
    made.stores = stores.data();
    if ((shape.needs() & MILLRACE_NEEDS_TIMERS) == 0) made.timer = nullptr;
    return made;
  }();
  return &table;
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
  static definition declared_shape() { return declared().shape(); }
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
