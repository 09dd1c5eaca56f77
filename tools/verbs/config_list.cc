#include "tools/kafka/configs.h"
#include "tools/text/json.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct list_options {};

result<exit_code> run(context& ctx, const list_options&) {
  const auto client = handle::open(RD_KAFKA_CONSUMER, ctx.common.to, {});
  if (!client) return fail(client.error());
  const auto resources = list_resources(**client);
  if (!resources) return fail(resources.error());
  std::string text;
  json_writer json(text);
  if (ctx.common.is_json) json.begin_array();
  for (const resource& r : *resources) {
    if (ctx.common.is_json) {
      json.value(r.to_string());
    } else {
      text += r.to_string() + "\n";
    }
  }
  if (ctx.common.is_json) {
    json.end_array();
    text += '\n';
  }
  ctx.out.write(text);
  return exit_code::ok;
}

}  // namespace

void add_config_list(CLI::App& config, context& ctx) {
  const auto declare = [&](CLI::App& verb, list_options&) {
    verb.alias("ls");
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(verb, "  millrace config list | grep ^group:");
  };
  add_verb<list_options>(config, ctx, "list", "Show what has a configuration: topics, brokers, groups, ...",
                         declare, run);
}

}  // namespace millrace::tools
