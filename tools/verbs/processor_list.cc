#include <nlohmann/json.hpp>
#include <unistd.h>

#include "tools/admin/client.h"
#include "tools/cli/terminal.h"
#include "tools/text/table.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

using nlohmann::json;

struct list_options {
  admin_options broker;
};

std::string as_table(const json& processors) {
  using enum table::align;
  bool has_reasons = false;
  for (const json& p : processors) has_reasons |= !p.value("why", "").empty();
  std::vector<table::column> columns{{"NAME"},       {"STATE"},     {"INPUT"},
                                     {"OUTPUTS"},    {"VERSION"},   {"PARTITIONS", right},
                                     {"LAG", right}, {"IN", right}, {"OUT", right}};
  if (has_reasons) columns.push_back({"WHY"});
  table rows(std::move(columns));
  for (const json& p : processors) {
    std::string outputs;
    for (const auto& [name, topic] : p.value("outputs", json::object()).items())
      outputs += (outputs.empty() ? "" : ",") + topic.get<std::string>();
    std::vector<std::string> cells{p.value("name", ""),
                                   p.value("state", ""),
                                   p.value("input", ""),
                                   outputs,
                                   p.value("version", ""),
                                   std::to_string(p.value("partitions", 0)),
                                   std::to_string(p.value("lag", int64_t{0})),
                                   std::to_string(p.value("records_in", uint64_t{0})),
                                   std::to_string(p.value("records_out", uint64_t{0}))};
    if (has_reasons) cells.push_back(p.value("why", ""));
    rows.add(std::move(cells));
  }
  return rows.render(has_colour(STDOUT_FILENO));
}

result<exit_code> show(context& ctx, const list_options& options) {
  const auto answer = ask_broker(options.broker, "GET", "/v1/processors");
  if (!answer) return fail(answer.error());
  const json parsed = json::parse(*answer, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("processors"))
    return fail(errc::malformed, "the broker's answer is not what this program knows");
  const json& processors = parsed["processors"];
  if (ctx.common.is_json) {
    ctx.out.write(processors.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
  } else if (processors.empty()) {
    tell(ctx, "No processors yet; `millrace processor deploy --help` shows how to add one.");
  } else {
    ctx.out.write(as_table(processors));
  }
  return exit_code::ok;
}

// Members of another type than expected are the library's exceptions.
result<exit_code> run(context& ctx, const list_options& options) {
  try {
    return show(ctx, options);
  } catch (const json::exception&) {
    return fail(errc::malformed, "the broker's answer is not what this program knows");
  }
}

}  // namespace

void add_processor_list(CLI::App& processor, context& ctx) {
  const auto declare = [&](CLI::App& verb, list_options& options) {
    verb.alias("ls");
    add_output_options(verb, ctx);
    add_admin_options(verb, options.broker);
    add_examples(verb,
                 "  millrace processor list\n"
                 "  millrace processor list --data /var/lib/millrace\n"
                 "  millrace processor list --json | jq -r '.[] | select(.state == \"paused\") | .name'");
  };
  add_verb<list_options>(processor, ctx, "list", "Show all processors: their state, lag and counts", declare,
                         run);
}

}  // namespace millrace::tools
