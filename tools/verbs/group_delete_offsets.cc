#include <fmt/format.h>

#include "tools/kafka/offset_plan.h"
#include "tools/verbs/outcomes.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct delete_offsets_options {
  std::string group;
  partition_choice choice;
  bool is_sure = false;
};

result<exit_code> run(context& ctx, const delete_offsets_options& options) {
  const auto client = handle::open(RD_KAFKA_CONSUMER, ctx.common.to, {});
  if (!client) return fail(client.error());
  MR_TRY(describe_group(**client, options.group));
  const auto partitions = chosen_partitions(**client, options.choice, {});
  if (!partitions) return fail(partitions.error());
  if (!is_confirmed(fmt::format("Forget what group {} has read of {}?", options.group,
                                fmt::join(options.choice.topics, ", ")),
                    options.is_sure)) {
    tell(ctx, "Nothing was deleted.");
    return exit_code::failure;
  }
  const auto results = delete_offsets(**client, options.group, *partitions);
  if (!results) return fail(results.error());

  std::vector<partition_outcome> outcomes;
  for (size_t i = 0; i < results->size(); ++i) {
    const auto& [topic, partition] = (*partitions)[i];
    auto& outcome = outcomes.emplace_back(topic, partition, std::string());
    if ((*results)[i]) {
      outcome.done =
          fmt::format("Deleted the offset of {} [{}] in group {}.", topic, partition, options.group);
    } else {
      outcome.done = fail((*results)[i].error());
    }
  }
  return tell_outcomes(ctx, outcomes);
}

}  // namespace

void add_group_delete_offsets(CLI::App& group, context& ctx) {
  const auto declare = [&](CLI::App& verb, delete_offsets_options& options) {
    verb.add_option("GROUP", options.group, "Name of the group")->required();
    verb.add_option("-t,--topic", options.choice.topics,
                    "All partitions of a topic, or some; may be repeated")
        ->type_name("TOPIC[:0,1]")
        ->required()
        ->allow_extra_args(false);
    verb.add_flag("-y,--yes", options.is_sure, "Do not ask, even on a terminal");
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(verb,
                 "  millrace group delete-offsets billing --topic orders\n"
                 "  millrace group delete-offsets billing --topic orders:0,2 --yes");
  };
  add_verb<delete_offsets_options>(group, ctx, "delete-offsets",
                                   "Forget offsets of topics no member subscribes to", declare, run);
}

}  // namespace millrace::tools
