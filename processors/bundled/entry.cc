#include "processors/bundled/entry.h"

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "processors/bundled/kinds.h"
#include "processors/bundled/settings.h"

namespace millrace::bundled {
namespace {

constexpr const char* version = "1.0";

options options_of(const millrace_option* raw, std::uint32_t count, std::uint32_t stride) {
  options all;
  const char* at = reinterpret_cast<const char*>(raw);
  for (std::uint32_t i = 0; i < count; ++i, at += stride) {
    const auto& pair = *reinterpret_cast<const millrace_option*>(at);
    all.emplace(detail::text_of(pair.key), detail::text_of(pair.value));
  }
  return all;
}

void build(topology& t, const options& all) {
  settings from(all);
  find_kind(from)(t, from);
  from.finish();
}

// What is known of a processor with some configuration, and its table.
struct configured {
  explicit configured(const options& all);

  std::string name;
  topology steps;
  definition shape{"", ""};
  std::array<const char*, definition::inputs_max> inputs{};
  std::array<const char*, definition::outputs_max> outputs{};
  std::array<const char*, definition::stores_max> stores{};
  std::string text;
  std::string graph;
  millrace_processor table{};
};

std::string name_of(const options& all) {
  settings from(all);
  find_kind(from);
  return "bundled-" + all.find("processor")->second;
}

// By configuration, for good: tables are handed out.
const configured& configured_for(const options& all) {
  static std::mutex lock;
  static std::map<options, std::unique_ptr<const configured>> known;
  const std::lock_guard held(lock);
  const auto there = known.find(all);
  if (there != known.end()) return *there->second;
  return *known.emplace(all, std::make_unique<const configured>(all)).first->second;
}

class bundled_processor {
 public:
  explicit bundled_processor(const setup& from)
      : steps_(std::make_unique<topology>("bundled", version, &from)) {
    options all;
    from.each_option([&](std::string_view key, std::string_view value) { all.emplace(key, value); });
    build(*steps_, all);
    steps_->close();
  }
  void process(const record& one, context& ctx) { steps_->run(one, ctx); }
  // Declared for the sake of the stream time; none is ever set.
  void timer(const timer&, context&) { throw failure("a bundled processor sets no timers"); }

 private:
  std::unique_ptr<topology> steps_;
};

struct traits {
  using type = bundled_processor;
  // What is known while compiling.
  static constexpr definition shape = define("bundled", version).timers();
  static const definition& shape_for(const millrace_setup& from) {
    return configured_for(options_of(from.options, from.option_count, from.option_stride)).shape;
  }
};

configured::configured(const options& all) : name(name_of(all)), steps(name.c_str(), version, nullptr) {
  build(steps, all);
  shape = steps.shape();
  inputs = shape.inputs();
  outputs = shape.outputs();
  stores = shape.stores();
  text = steps.describe();
  graph = steps.graph();
  table = *processor_adapter<traits>::table();
  table.name = name.c_str();
  table.version = version;
  table.needs = shape.needs();
  table.traits = shape.traits();
  table.state_version = shape.state_version();
  table.input_count = static_cast<std::uint32_t>(shape.input_count());
  table.inputs = inputs.data();
  table.output_count = static_cast<std::uint32_t>(shape.output_count());
  table.outputs = outputs.data();
  table.store_count = static_cast<std::uint32_t>(shape.store_count());
  table.stores = stores.data();
  table.topology = text.c_str();
  table.topology_graph = graph.c_str();
  if ((table.needs & MILLRACE_NEEDS_TIMERS) == 0) table.timer = nullptr;
}

}  // namespace

const millrace_processor* table_for(const millrace_option* raw, std::uint32_t count, std::uint32_t stride) {
  return &configured_for(options_of(raw, count, stride)).table;
}

}  // namespace millrace::bundled
