#include "tools/kafka/configs.h"
#include "tools/verbs/config_changes.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct alter_options {
  std::vector<std::string> names;
  std::vector<std::string> set;
  std::vector<std::string> unset;
  bool dry_run = false;
};

result<exit_code> run(context& ctx, const alter_options& options) {
  std::vector<config_change> changes;
  for (const std::string& text : options.set) {
    const auto change = parse_change("--config", text, config_change::kind::set);
    if (!change) return fail(change.error());
    changes.push_back(*change);
  }
  for (const std::string& key : options.unset)
    changes.push_back({.name = key, .what = config_change::kind::unset});
  if (changes.empty()) return fail(errc::invalid_argument, "nothing to change: give --config or --unset");
  std::vector<resource> topics;
  for (const std::string& name : options.names) topics.push_back({resource_type::topic, name});
  return change_configs(ctx, topics, changes, options.dry_run);
}

}  // namespace

void add_topic_alter(CLI::App& topic, context& ctx) {
  const auto declare = [&](CLI::App& verb, alter_options& options) {
    verb.add_option("TOPIC", options.names, "Names of the topics")->required();
    verb.add_option("-c,--config", options.set, "A setting to change; may be repeated")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    verb.add_option("-u,--unset", options.unset, "A setting to take back to its default; may be repeated")
        ->type_name("KEY")
        ->allow_extra_args(false);
    verb.add_flag("-n,--dry-run", options.dry_run, "Only check");
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(verb,
                 "  millrace topic alter events --config retention.ms=86400000\n"
                 "  millrace topic alter orders payments --unset retention.ms --dry-run");
  };
  add_verb<alter_options>(topic, ctx, "alter", "Change settings of topics; they hold at once", declare, run);
}

}  // namespace millrace::tools
