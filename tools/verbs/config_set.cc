#include <fmt/ranges.h>

#include "tools/kafka/configs.h"
#include "tools/text/json.h"
#include "tools/verbs/config_changes.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct set_options {
  std::string resource;
  std::vector<std::string> values;
  bool add = false;
  bool subtract = false;
  bool dry_run = false;
};

struct unset_options {
  std::string resource;
  std::vector<std::string> keys;
  bool dry_run = false;
};

result<exit_code> run_set(context& ctx, const set_options& options) {
  const auto of = parse_resource(options.resource);
  if (!of) return fail(of.error());
  const auto what = options.add        ? config_change::kind::append
                    : options.subtract ? config_change::kind::subtract
                                       : config_change::kind::set;
  std::vector<config_change> changes;
  for (const std::string& text : options.values) {
    const auto change = parse_change("config set", text, what);
    if (!change) return fail(change.error());
    changes.push_back(*change);
  }
  return change_configs(ctx, {*of}, changes, options.dry_run);
}

result<exit_code> run_unset(context& ctx, const unset_options& options) {
  const auto of = parse_resource(options.resource);
  if (!of) return fail(of.error());
  std::vector<config_change> changes;
  for (const std::string& key : options.keys)
    changes.push_back({.name = key, .what = config_change::kind::unset});
  return change_configs(ctx, {*of}, changes, options.dry_run);
}

}  // namespace

result<exit_code> change_configs(context& ctx, const std::vector<resource>& of,
                                 const std::vector<config_change>& changes, bool dry_run) {
  const auto client = handle::open(RD_KAFKA_CONSUMER, ctx.common.to, {});
  if (!client) return fail(client.error());
  bool all_good = true;
  std::string text;
  json_writer json(text);
  json.begin_array();
  for (const resource& r : of) {
    const result<void> done = alter_configs(**client, r, changes, dry_run);
    if (!done) {
      report(ctx, done.error());
      all_good = false;
      continue;
    }
    json.begin_object().member("resource", r.to_string()).member("changed", !dry_run).end_object();
    if (!ctx.common.is_json)
      tell(ctx, dry_run ? fmt::format("{} would be changed.", r.to_string())
                        : fmt::format("Changed {}.", r.to_string()));
  }
  json.end_array();
  if (ctx.common.is_json) ctx.out.write(text + "\n");
  return all_good ? exit_code::ok : exit_code::failure;
}

void add_config_set(CLI::App& config, context& ctx) {
  const auto declare = [&](CLI::App& verb, set_options& options) {
    verb.add_option("RESOURCE", options.resource,
                    "topic:NAME, group:NAME, broker:ID, brokers, client-metrics:NAME")
        ->required();
    verb.add_option("VALUES", options.values, "What to set")->type_name("KEY=VALUE")->required();
    CLI::Option* add = verb.add_flag("--add", options.add, "Add to lists instead of replacing them");
    verb.add_flag("--subtract", options.subtract, "Take from lists instead of replacing them")->excludes(add);
    verb.add_flag("-n,--dry-run", options.dry_run, "Only check");
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(verb,
                 "  millrace config set topic:events retention.ms=86400000 segment.bytes=67108864\n"
                 "  millrace config set brokers log.retention.ms=604800000   # for topics that do not say\n"
                 "  millrace config set group:billing consumer.session.timeout.ms=50000");
  };
  add_verb<set_options>(config, ctx, "set", "Set values; they hold at once", declare, run_set);
}

void add_config_unset(CLI::App& config, context& ctx) {
  const auto declare = [&](CLI::App& verb, unset_options& options) {
    verb.add_option("RESOURCE", options.resource,
                    "topic:NAME, group:NAME, broker:ID, brokers, client-metrics:NAME")
        ->required();
    verb.add_option("KEY", options.keys, "What goes back to its default")->required();
    verb.add_flag("-n,--dry-run", options.dry_run, "Only check");
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(verb, "  millrace config unset topic:events retention.ms");
  };
  add_verb<unset_options>(config, ctx, "unset", "Take values back, so that the defaults hold again", declare,
                          run_unset);
}

}  // namespace millrace::tools
