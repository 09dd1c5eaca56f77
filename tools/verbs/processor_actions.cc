// pause, resume, rollback, promote, discard, remove: one request each, for one or several processors.
#include "tools/admin/client.h"
#include "tools/verbs/outcomes.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct action {
  std::string verb;
  std::string summary;
  std::string done_key;
  std::string done;  // "Paused {}."
  std::string examples;
};

struct action_options {
  action what;
  admin_options broker;
  std::vector<std::string> names;
  bool purge = false;
  bool is_sure = false;
};

result<exit_code> run(context& ctx, const action_options& options) {
  if (options.purge && !is_confirmed("Delete positions and state as well?", options.is_sure)) {
    tell(ctx, "Nothing was removed.");
    return exit_code::failure;
  }
  std::vector<result<void>> outcomes;
  for (const std::string& name : options.names) {
    const std::string at = "/v1/processors/" + name;
    const auto answer = options.what.verb == "remove"
                            ? ask_broker(options.broker, "DELETE", at + (options.purge ? "?purge=true" : ""))
                            : ask_broker(options.broker, "POST", at + "/" + options.what.verb);
    outcomes.push_back(answer ? result<void>() : fail(answer.error()));
  }
  return tell_outcomes(ctx, options.names, outcomes,
                       {.done_key = options.what.done_key,
                        .done = options.what.done,
                        .as_wanted = {},
                        .as_wanted_code = errc::none,
                        .is_as_wanted_fine = false});
}

void add_action(CLI::App& processor, context& ctx, const action& what) {
  const auto declare = [&](CLI::App& verb, action_options& options) {
    options.what = what;
    verb.add_option("PROCESSOR", options.names, "Names of the processors")->required();
    if (what.verb == "remove") {
      verb.alias("rm");
      verb.add_flag("--purge", options.purge, "Drop its position and its state with the changelogs, too");
      verb.add_flag("-y,--yes", options.is_sure, "Do not ask, even on a terminal");
    }
    add_output_options(verb, ctx);
    add_admin_options(verb, options.broker);
    add_examples(verb, what.examples);
  };
  add_verb<action_options>(processor, ctx, what.verb, what.summary, declare, run);
}

}  // namespace

void add_processor_actions(CLI::App& processor, context& ctx) {
  add_action(processor, ctx,
             {.verb = "pause",
              .summary = "Stop processors between two batches; their input waits",
              .done_key = "paused",
              .done = "Paused {}.",
              .examples = "  millrace processor pause cleaner"});
  add_action(
      processor, ctx,
      {.verb = "resume",
       .summary = "Let processors go on, also those that have paused by themselves",
       .done_key = "resumed",
       .done = "Resumed {}.",
       .examples = "  millrace processor resume cleaner        # from exactly the record it stopped at"});
  add_action(processor, ctx,
             {.verb = "rollback",
              .summary = "Go back to the version before the last replacement",
              .done_key = "rolled_back",
              .done = "Rolled {} back.",
              .examples = "  millrace processor rollback cleaner"});
  add_action(
      processor, ctx,
      {.verb = "promote",
       .summary = "Put the shadow's version in the place of its processor, which keeps position and state",
       .done_key = "promoted",
       .done = "Promoted the shadow of {}.",
       .examples = "  millrace processor promote cleaner"});
  add_action(processor, ctx,
             {.verb = "discard",
              .summary = "End the shadow of a processor, with its topics",
              .done_key = "discarded",
              .done = "Discarded the shadow of {}.",
              .examples = "  millrace processor discard cleaner"});
  add_action(
      processor, ctx,
      {.verb = "remove",
       .summary = "End processors; their topics stay",
       .done_key = "removed",
       .done = "Removed {}.",
       .examples =
           "  millrace processor remove cleaner           # a later deploy of that name goes on from here\n"
           "  millrace processor remove cleaner --purge   # position and state go, too"});
}

}  // namespace millrace::tools
