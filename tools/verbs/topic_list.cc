#include <unistd.h>

#include "tools/cli/terminal.h"
#include "tools/kafka/topics.h"
#include "tools/text/json.h"
#include "tools/text/table.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct list_options {
  bool with_internal = false;
};

std::string as_json(const std::vector<topic_info>& topics) {
  std::string text;
  json_writer json(text);
  json.begin_array();
  for (const topic_info& topic : topics) {
    json.begin_object();
    json.member("name", topic.name).member("partitions", topic.partitions.size());
    json.member("replication_factor", topic.replication_factor()).member("internal", topic.is_internal());
    json.end_object();
  }
  json.end_array();
  return text + "\n";
}

std::string as_table(const std::vector<topic_info>& topics) {
  table rows({{"TOPIC"}, {"PARTITIONS", table::align::right}, {"REPLICAS", table::align::right}});
  for (const topic_info& topic : topics) {
    rows.add(
        {topic.name, std::to_string(topic.partitions.size()), std::to_string(topic.replication_factor())});
  }
  return rows.render(has_colour(STDOUT_FILENO));
}

result<exit_code> run(context& ctx, const list_options& options) {
  const auto client = handle::open(RD_KAFKA_CONSUMER, ctx.common.to, {});
  if (!client) return fail(client.error());
  auto topics = list_topics(**client);
  if (!topics) return fail(topics.error());
  if (!options.with_internal)
    std::erase_if(*topics, [](const topic_info& topic) { return topic.is_internal(); });
  if (topics->empty() && !ctx.common.is_json) {
    tell(ctx, "No topics yet; `millrace topic create NAME` makes one.");
    return exit_code::ok;
  }
  ctx.out.write(ctx.common.is_json ? as_json(*topics) : as_table(*topics));
  return exit_code::ok;
}

}  // namespace

void add_topic_list(CLI::App& topic, context& ctx) {
  const auto declare = [&](CLI::App& verb, list_options& options) {
    verb.alias("ls");
    verb.add_flag("--internal", options.with_internal, "Show the brokers' own topics (__...) too");
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(verb,
                 "  millrace topic list\n"
                 "  millrace topic list --json | jq -r '.[].name'");
  };
  add_verb<list_options>(topic, ctx, "list", "Show all topics", declare, run);
}

}  // namespace millrace::tools
