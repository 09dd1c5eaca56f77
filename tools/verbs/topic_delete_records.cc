#include <fmt/ranges.h>

#include "tools/kafka/offset_plan.h"
#include "tools/kafka/topics.h"
#include "tools/text/json.h"
#include "tools/verbs/outcomes.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct delete_records_options {
  partition_choice choice;
  int64_t before = -1;
  bool all = false;
  bool is_sure = false;
};

result<exit_code> run(context& ctx, const delete_records_options& options) {
  if (options.all == (options.before >= 0))
    return fail(errc::invalid_argument, "give one of --before and --all");
  const auto client = handle::open(RD_KAFKA_CONSUMER, ctx.common.to, {});
  if (!client) return fail(client.error());
  const auto partitions = chosen_partitions(**client, options.choice, {});
  if (!partitions) return fail(partitions.error());
  const std::string which =
      options.all ? "all records" : fmt::format("the records before offset {}", options.before);
  const std::string question = fmt::format("Delete {} of {}?", which, fmt::join(options.choice.topics, ", "));
  if (!is_confirmed(question, options.is_sure)) {
    tell(ctx, "Nothing was deleted.");
    return exit_code::failure;
  }
  std::vector<records_below> what;
  for (const auto& [topic, partition] : *partitions) what.push_back({topic, partition, options.before});
  const auto results = delete_records(**client, what);
  if (!results) return fail(results.error());

  bool all_good = true;
  std::string text;
  json_writer json(text);
  json.begin_array();
  for (size_t i = 0; i < results->size(); ++i) {
    const result<int64_t>& first = (*results)[i];
    if (!first) {
      report(ctx, first.error());
      all_good = false;
      continue;
    }
    json.begin_object().member("topic", what[i].topic).member("partition", what[i].partition);
    json.member("first_offset", *first).end_object();
    if (!ctx.common.is_json)
      tell(ctx, fmt::format("{} [{}] begins at offset {} now.", what[i].topic, what[i].partition, *first));
  }
  json.end_array();
  if (ctx.common.is_json) ctx.out.write(text + "\n");
  return all_good ? exit_code::ok : exit_code::failure;
}

}  // namespace

void add_topic_delete_records(CLI::App& topic, context& ctx) {
  const auto declare = [&](CLI::App& verb, delete_records_options& options) {
    verb.add_option("TOPIC", options.choice.topics, "Topics, all partitions of each or some (TOPIC:0,1)")
        ->required();
    verb.add_option("--before", options.before, "Delete what lies before this offset")
        ->type_name("OFFSET")
        ->check(CLI::NonNegativeNumber);
    verb.add_flag("--all", options.all, "Delete everything there is");
    verb.add_flag("-y,--yes", options.is_sure, "Do not ask, even on a terminal");
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(verb,
                 "  millrace topic delete-records events --all\n"
                 "  millrace topic delete-records orders:0,2 --before 1500 --yes");
  };
  add_verb<delete_records_options>(topic, ctx, "delete-records",
                                   "Delete the oldest records of topics, or all", declare, run);
}

}  // namespace millrace::tools
