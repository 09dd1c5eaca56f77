#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unistd.h>

#include "tools/admin/client.h"
#include "tools/cli/terminal.h"
#include "tools/text/table.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

using nlohmann::json;

struct describe_options {
  admin_options broker;
  std::vector<std::string> names;
  bool is_graph = false;
};

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>()
                           : value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string pairs_of(const json& object) {
  std::string text;
  for (const auto& [key, value] : object.items())
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", key, text_of(value));
  return text;
}

std::string moment(int64_t ms) {
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

// A partition, of which stage if there are several.
std::string place_of(const json& flow) {
  const std::string partition = std::to_string(flow.value("partition", 0));
  const std::string stage = flow.value("stage", "");
  return stage.empty() ? partition : stage + " " + partition;
}

std::string flows_of(const json& flows) {
  using enum table::align;
  table rows({{"PARTITION", right},
              {"STATE"},
              {"POSITION", right},
              {"LAG", right},
              {"IN", right},
              {"OUT", right},
              {"US/RECORD", right},
              {"ERRORS", right},
              {"STATE SIZE", right},
              {"WHY"}});
  for (const json& f : flows) {
    const json counters = f.value("counters", json::object());
    const auto records = counters.value("records_in", uint64_t{0});
    const double seconds = counters.value("busy_seconds", 0.0);
    std::string position;
    for (const json& input : f.value("inputs", json::array()))
      position += (position.empty() ? "" : ", ") + std::to_string(input.value("position", int64_t{0}));
    if (position.empty()) position = std::to_string(f.value("position", int64_t{0}));
    rows.add({place_of(f), f.value("state", ""), position, std::to_string(f.value("lag", int64_t{0})),
              std::to_string(records), std::to_string(counters.value("records_out", uint64_t{0})),
              records == 0 ? "-" : fmt::format("{:.1f}", seconds * 1e6 / static_cast<double>(records)),
              std::to_string(counters.value("errors", uint64_t{0})),
              human_bytes(f.value("state_bytes", uint64_t{0})), f.value("why", "")});
  }
  return rows.render(has_colour(STDOUT_FILENO));
}

std::string versions_of(const json& versions) {
  table rows({{"EARLIER VERSION"}, {"LIBRARY"}, {"DEPLOYED"}});
  for (const json& v : versions)
    rows.add(
        {v.value("content_hash", ""), v.value("library", ""), moment(v.value("deployed_at_ms", int64_t{0}))});
  return rows.render(has_colour(STDOUT_FILENO));
}

std::string as_text(const json& p) {
  std::string text =
      fmt::format("{}: {}", styled(STDOUT_FILENO, style::bold, p.value("name", "")), p.value("state", ""));
  if (const std::string why = p.value("why", ""); !why.empty()) text += ", " + why;
  text += '\n';
  const auto line = [&text](std::string_view title, const std::string& value) {
    if (!value.empty()) text += fmt::format("  {:<12} {}\n", title, value);
  };
  if (const std::string of = p.value("of", ""); !of.empty())
    line(p.value("role", ""), fmt::format("of {}, {} records to go", of, p.value("lag", int64_t{0})));
  line("code",
       fmt::format("{} {} ({})", p.value("code", ""), p.value("version", ""), p.value("content_hash", "")));
  line("library", p.value("library", ""));
  const std::string inputs = pairs_of(p.value("inputs", json::object()));
  line(inputs.empty() ? "input" : "inputs", inputs.empty() ? p.value("input", "") : inputs);
  line("outputs", pairs_of(p.value("outputs", json::object())));
  line("config", pairs_of(p.value("config", json::object())));
  line("on_error", p.value("on_error", ""));
  line("isolation", p.value("isolation", ""));
  line("dead_letter", p.value("dead_letter", ""));
  if (const json logs = p.value("changelogs", json::array()); !logs.empty()) {
    std::string names;
    for (const json& name : logs) names += (names.empty() ? "" : ", ") + text_of(name);
    line("changelogs", names);
    line("state", fmt::format("{} of at most {}", human_bytes(p.value("state_bytes", uint64_t{0})),
                              human_bytes(p.value("state_bytes_max", uint64_t{0}))));
  }
  if (const json between = p.value("repartitions", json::array()); !between.empty()) {
    std::string names;
    for (const json& name : between) names += (names.empty() ? "" : ", ") + text_of(name);
    line("repartition", names);
  }
  const auto deployed_at_ms = p.value("deployed_at_ms", int64_t{0});
  line("deployed", p.value("from_file", false) ? "with the configuration file" : moment(deployed_at_ms));
  const json flows = p.value("flows", json::array());
  if (!flows.empty()) text += flows_of(flows);
  std::istringstream steps(p.value("topology", ""));
  for (std::string step; std::getline(steps, step);) text += fmt::format("  {}\n", step);
  const json versions = p.value("versions", json::array());
  if (!versions.empty()) text += versions_of(versions);
  for (const json& f : flows)
    for (const auto& [name, value] : f.value("metrics", json::object()).items())
      text += fmt::format("  partition {}: {} = {}\n", place_of(f), name, text_of(value));
  return text;
}

result<exit_code> show_graphs(context& ctx, const json& all) {
  for (const json& p : all) {
    const std::string graph = p.value("topology_graph", "");
    if (graph.empty())
      return fail(errc::not_supported, "processor {} is not made of steps that it could tell",
                  p.value("name", ""));
    ctx.out.write(graph);
  }
  return exit_code::ok;
}

result<exit_code> show(context& ctx, const describe_options& options) {
  json all = json::array();
  for (const std::string& name : options.names) {
    const auto answer = ask_broker(options.broker, "GET", "/v1/processors/" + name);
    if (!answer) return fail(answer.error());
    json parsed = json::parse(*answer, nullptr, false);
    if (!parsed.is_object())
      return fail(errc::malformed, "the broker's answer is not what this program knows");
    all.push_back(std::move(parsed));
  }
  if (ctx.common.is_json) {
    ctx.out.write(all.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
    return exit_code::ok;
  }
  if (options.is_graph) return show_graphs(ctx, all);
  bool is_first = true;
  for (const json& p : all) {
    ctx.out.write((is_first ? "" : "\n") + as_text(p));
    is_first = false;
  }
  return exit_code::ok;
}

// Members of another type than expected are the library's exceptions.
result<exit_code> run(context& ctx, const describe_options& options) {
  try {
    return show(ctx, options);
  } catch (const json::exception&) {
    return fail(errc::malformed, "the broker's answer is not what this program knows");
  }
}

}  // namespace

void add_processor_describe(CLI::App& processor, context& ctx) {
  const auto declare = [&](CLI::App& verb, describe_options& options) {
    verb.add_option("PROCESSOR", options.names, "Names of the processors")->required();
    verb.add_flag("--graph", options.is_graph, "Print only its steps, as a graph for Graphviz");
    add_output_options(verb, ctx);
    add_admin_options(verb, options.broker);
    add_examples(
        verb,
        "  millrace processor describe cleaner\n"
        "  millrace processor describe averages --graph | dot -Tsvg > averages.svg\n"
        "  millrace processor describe cleaner --json | jq '.[0].flows[] | {partition, position, lag}'");
  };
  add_verb<describe_options>(
      processor, ctx, "describe",
      "Show configuration, positions, state and counts of each partition, and the steps of a topology",
      declare, run);
}

}  // namespace millrace::tools
