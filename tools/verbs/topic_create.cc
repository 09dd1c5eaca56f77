#include <fmt/format.h>

#include "tools/kafka/topics.h"
#include "tools/verbs/outcomes.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct create_options {
  std::vector<std::string> names;
  int32_t partitions = -1;
  int16_t replicas = -1;
  std::vector<std::string> configs;
  bool if_not_exists = false;
};

result<std::vector<new_topic>> topics_to_create(const create_options& options) {
  const auto configs = parse_topic_configs(options.configs);
  if (!configs) return fail(configs.error());
  std::vector<new_topic> topics;
  for (const std::string& name : options.names) {
    topics.push_back(
        {.name = name, .partitions = options.partitions, .replicas = options.replicas, .configs = *configs});
  }
  return topics;
}

result<exit_code> run(context& ctx, const create_options& options) {
  const auto topics = topics_to_create(options);
  if (!topics) return fail(topics.error());
  const auto client = handle::open(RD_KAFKA_CONSUMER, ctx.common.to, {});
  if (!client) return fail(client.error());
  const auto results = create_topics(**client, *topics);
  if (!results) return fail(results.error());

  return tell_outcomes(ctx, options.names, *results,
                       {.done_key = "created",
                        .done = "Created topic {}.",
                        .as_wanted = "Topic {} exists already.",
                        .as_wanted_code = errc::topic_already_exists,
                        .is_as_wanted_fine = options.if_not_exists});
}

}  // namespace

void add_topic_create(CLI::App& topic, context& ctx) {
  const auto declare = [&](CLI::App& verb, create_options& options) {
    verb.add_option("TOPIC", options.names, "Names of the topics")->required();
    verb.add_option("-p,--partitions", options.partitions,
                    "Partitions (default: the broker's num.partitions)")
        ->type_name("N")
        ->check(CLI::Range(1, 1'000'000));
    verb.add_option("-r,--replicas", options.replicas, "Copies of each partition (default: the broker's)")
        ->type_name("N")
        ->check(CLI::Range(1, 1000));
    verb.add_option("-c,--config", options.configs, "A setting of the topic; may be repeated")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    verb.add_flag("--if-not-exists", options.if_not_exists, "A topic that exists already is no error");
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(verb,
                 "  millrace topic create events\n"
                 "  millrace topic create orders payments --partitions 6 --if-not-exists\n"
                 "  millrace topic create log --config retention.ms=86400000 --config compression.type=zstd");
  };
  add_verb<create_options>(topic, ctx, "create", "Make one or more topics", declare, run);
}

}  // namespace millrace::tools
