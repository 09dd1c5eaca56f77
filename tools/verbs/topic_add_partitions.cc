#include "tools/kafka/topics.h"
#include "tools/text/json.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct add_options {
  std::string name;
  int32_t total = 0;
};

result<exit_code> run(context& ctx, const add_options& options) {
  const auto client = handle::open(RD_KAFKA_CONSUMER, ctx.common.to, {});
  if (!client) return fail(client.error());
  const auto before = find_topic(**client, options.name);
  if (!before) return fail(before.error());
  MR_TRY(add_partitions(**client, options.name, options.total));
  if (ctx.common.is_json) {
    std::string text;
    json_writer json(text);
    json.begin_object().member("name", options.name).member("partitions", options.total);
    json.member("before", before->partitions.size()).end_object();
    ctx.out.write(text + "\n");
  } else {
    tell(ctx, fmt::format("Topic {} has {} partitions now (before: {}).", options.name, options.total,
                          before->partitions.size()));
  }
  return exit_code::ok;
}

}  // namespace

void add_topic_add_partitions(CLI::App& topic, context& ctx) {
  const auto declare = [&](CLI::App& verb, add_options& options) {
    verb.add_option("TOPIC", options.name, "Name of the topic")->required();
    verb.add_option("-p,--partitions", options.total, "How many it is to have in all")
        ->type_name("N")
        ->required()
        ->check(CLI::Range(1, 1'000'000));
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(verb,
                 "  millrace topic add-partitions events --partitions 12   # keys go to other partitions "
                 "from then on");
  };
  add_verb<add_options>(topic, ctx, "add-partitions", "Give a topic more partitions", declare, run);
}

}  // namespace millrace::tools
