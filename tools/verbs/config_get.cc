#include <unistd.h>

#include "tools/cli/terminal.h"
#include "tools/kafka/configs.h"
#include "tools/text/json.h"
#include "tools/text/table.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct get_options {
  std::string resource;
  std::vector<std::string> keys;
  bool all = false;
  bool explain = false;
};

std::string as_json(const std::vector<described_config>& configs) {
  std::string text;
  json_writer json(text);
  json.begin_array();
  for (const described_config& c : configs) {
    json.begin_object().member("name", c.name).key("value");
    c.value ? json.value(*c.value) : json.null();
    json.member("source", c.source).member("own", c.is_own).member("read_only", c.is_read_only);
    json.member("documentation", c.documentation).end_object();
  }
  json.end_array();
  return text + "\n";
}

std::string as_table(const std::vector<described_config>& configs, bool explain) {
  table rows(explain ? std::vector<table::column>{{"KEY"}, {"VALUE"}, {"FROM"}, {"WHAT IT DOES"}}
                     : std::vector<table::column>{{"KEY"}, {"VALUE"}, {"FROM"}});
  for (const described_config& c : configs) {
    std::vector<std::string> cells = {c.name, c.value.value_or("-"), c.source};
    if (explain) cells.push_back(c.documentation);
    rows.add(std::move(cells));
  }
  return rows.render(has_colour(STDOUT_FILENO));
}

result<exit_code> run(context& ctx, const get_options& options) {
  const auto of = parse_resource(options.resource);
  if (!of) return fail(of.error());
  const auto client = handle::open(RD_KAFKA_CONSUMER, ctx.common.to, {});
  if (!client) return fail(client.error());
  auto configs = describe_configs(**client, *of, options.keys);
  if (!configs) return fail(configs.error());
  for (const std::string& key : options.keys) {
    if (std::ranges::find(*configs, key, &described_config::name) == configs->end())
      return fail(errc::invalid_config, "{} has no key '{}'", of->to_string(), key);
  }
  if (options.keys.empty() && !options.all)
    std::erase_if(*configs, [](const described_config& c) { return !c.is_own; });
  if (configs->empty() && !ctx.common.is_json) {
    tell(ctx, fmt::format("{} sets nothing itself; --all shows what holds for it.", of->to_string()));
    return exit_code::ok;
  }
  ctx.out.write(ctx.common.is_json ? as_json(*configs) : as_table(*configs, options.explain));
  return exit_code::ok;
}

}  // namespace

void add_config_get(CLI::App& config, context& ctx) {
  const auto declare = [&](CLI::App& verb, get_options& options) {
    verb.add_option("RESOURCE", options.resource,
                    "topic:NAME, group:NAME, broker:ID, brokers, client-metrics:NAME")
        ->required();
    verb.add_option("KEY", options.keys, "Only these keys");
    verb.add_flag("-a,--all", options.all, "Also what the resource does not set itself");
    verb.add_flag("--explain", options.explain, "Say what each key does");
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(
        verb,
        "  millrace config get topic:events                # what the topic sets itself\n"
        "  millrace config get topic:events retention.ms   # what holds for it, and where that comes from\n"
        "  millrace config get broker:1 --all --explain");
  };
  add_verb<get_options>(config, ctx, "get", "Show the configuration of a topic, a broker or a group", declare,
                        run);
}

}  // namespace millrace::tools
