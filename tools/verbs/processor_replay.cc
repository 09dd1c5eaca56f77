#include <nlohmann/json.hpp>

#include "tools/admin/client.h"
#include "tools/admin/deployed.h"
#include "tools/verbs/twins.h"

namespace millrace::tools {

namespace {

using nlohmann::json;

struct replay_options {
  admin_options broker;
  std::string processor, name, from, to, suffix;
  std::vector<std::string> into;
};

result<exit_code> run(context& ctx, const replay_options& options) {
  json request = json::object();
  for (const auto& [key, value] : {std::pair("name", &options.name),
                                   {"from", &options.from},
                                   {"to", &options.to},
                                   {"suffix", &options.suffix}})
    if (!value->empty()) request[key] = *value;
  if (!options.into.empty()) MR_TRY(add_pairs(request["into"], options.into, "--into"));
  const std::string body = request.dump(-1, ' ', false, json::error_handler_t::replace);
  const auto answer =
      ask_broker(options.broker, "POST", "/v1/processors/" + options.processor + "/replay", body);
  if (!answer) return fail(answer.error());
  return tell_deployed(ctx, *answer, "Replaying as");
}

}  // namespace

void add_processor_replay(CLI::App& processor, context& ctx) {
  const auto declare = [&](CLI::App& verb, replay_options& options) {
    verb.add_option("PROCESSOR", options.processor, "Whose input is processed once more")->required();
    verb.add_option("--from", options.from,
                    "Where it begins: earliest, an offset or @TIME (default: earliest)")
        ->type_name("WHERE");
    verb.add_option("--to", options.to,
                    "Before which offset or @TIME it ends (default: behind the last record of now)")
        ->type_name("WHERE");
    verb.add_option("--as", options.name, "Its name (default: PROCESSOR.replay)")->type_name("NAME");
    verb.add_option("--to-topic-suffix", options.suffix,
                    "Behind the names of the processor's topics, for its own (default: .replay)")
        ->type_name("SUFFIX");
    verb.add_option("--into", options.into, "The topic of one output; may be repeated")
        ->type_name("OUTPUT=TOPIC")
        ->type_size(1)
        ->allow_extra_args(false);
    add_output_options(verb, ctx);
    add_admin_options(verb, options.broker);
    add_examples(
        verb,
        "  millrace processor replay cleaner                  # all there is, into orders.clean.replay\n"
        "  millrace processor replay cleaner --from @2026-01-31 --to @2026-02-01 --as january31 \\\n"
        "                            --to-topic-suffix .january31\n"
        "  millrace processor replay cleaner --from 120000 --into clean=orders.again\n"
        "  millrace processor remove cleaner.replay           # when it is done; its topics stay");
  };
  add_verb<replay_options>(processor, ctx, "replay", "Process a part of the input once more, into new topics",
                           declare, run);
}

}  // namespace millrace::tools
