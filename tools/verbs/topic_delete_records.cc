#include <fmt/ranges.h>

#include "tools/kafka/offset_plan.h"
#include "tools/kafka/topics.h"
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

  std::vector<partition_outcome> outcomes;
  for (size_t i = 0; i < results->size(); ++i) {
    auto& outcome = outcomes.emplace_back(what[i].topic, what[i].partition, std::string());
    if (const result<int64_t>& first = (*results)[i]; first) {
      outcome.first_offset = *first;
      outcome.done =
          fmt::format("{} [{}] begins at offset {} now.", what[i].topic, what[i].partition, *first);
    } else {
      outcome.done = fail(first.error());
    }
  }
  return tell_outcomes(ctx, outcomes);
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
