#include "tools/cli/completion.h"

#include <CLI/Validators.hpp>

#include "tools/cli/profile.h"
#include "tools/kafka/groups.h"
#include "tools/kafka/topics.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct completion_options {
  std::string shell;
};

result<exit_code> run(context& ctx, const completion_options& options) {
  const auto script = completion_script(options.shell);
  if (!script) return fail(errc::invalid_argument, "there is no completion for '{}'", options.shell);
  ctx.out.write(*script);
  return exit_code::ok;
}

}  // namespace

void add_completion(CLI::App& root, context& ctx) {
  const auto declare = [&](CLI::App& verb, completion_options& options) {
    verb.add_option("SHELL", options.shell, "Which shell")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    add_examples(verb,
                 "  source <(millrace completion bash)       # in ~/.bashrc\n"
                 "  source <(millrace completion zsh)        # in ~/.zshrc, behind compinit\n"
                 "  millrace completion fish | source        # in ~/.config/fish/config.fish");
  };
  add_verb<completion_options>(root, ctx, "completion",
                               "Print what makes a shell complete commands, options and names", declare, run);
}

exit_code run_complete(const CLI::App& root, context& ctx, std::span<const std::string> words) {
  // Somebody waits with a finger on Tab: a cluster that does not answer at once is not asked for names.
  ctx.common.to.timeout_seconds = 1;
  const auto bootstrap = value_in(words, "-b", "--bootstrap");
  if (bootstrap) ctx.common.to.bootstrap = *bootstrap;
  // One that is not there offers no names; the command itself will say so.
  const auto applied =
      apply_profile(ctx.common.to, {.profile = value_in(words, "--profile", "--profile").value_or(""),
                                    .has_bootstrap = bootstrap.has_value(),
                                    .has_timeout = true});
  if (!applied) ctx.common.to.bootstrap.clear();
  const auto ask = [&ctx](const auto& list, const auto& name_of) {
    std::vector<std::string> names;
    const auto client = handle::open(RD_KAFKA_CONSUMER, ctx.common.to, {});
    if (!client) return names;
    const auto found = list(**client);
    if (!found) return names;
    for (const auto& one : *found) names.push_back(name_of(one));
    return names;
  };
  const cluster_names names{
      .topics = [&] { return ask(list_topics, [](const topic_info& t) { return t.name; }); },
      .groups = [&] { return ask(list_groups, [](const group_listing& g) { return g.id; }); }};
  const offers found = complete(root, words, names);
  for (const offer& one : found.words)
    ctx.out.write(one.word + (one.about.empty() ? "" : "\t" + one.about) + "\n");
  if (found.files_too) ctx.out.write(":files\n");
  return ctx.out.flush() ? exit_code::ok : exit_code::failure;
}

}  // namespace millrace::tools
