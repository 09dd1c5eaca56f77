// millrace: topics, records, consumer groups and logs from the command line. See tools/README.md.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <librdkafka/rdkafka.h>

#include "tools/cli/interrupt.h"
#include "tools/cli/manual.h"
#include "tools/cli/profile.h"
#include "tools/cli/usage.h"
#include "tools/verbs/twins.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

void declare_verbs(CLI::App& root, context& ctx) {
  root.name("millrace");
  root.require_subcommand(1);
  root.set_version_flag("--version", [] {
    return fmt::format("millrace {} (librdkafka {})", MILLRACE_VERSION, rd_kafka_version_str());
  });
  root.set_help_all_flag("--help-all", "Help for every command");
  add_examples(root,
               "  millrace topic create events --partitions 3\n"
               "  millrace produce events lines.txt            # one record per line of a file\n"
               "  millrace consume events --from -10 --exit    # the last ten records of each partition\n"
               "  millrace topic describe events\n"
               "  millrace group describe billing              # who reads what, and how far behind\n"
               "  millrace top                                 # rates, and who lags, as they change\n"
               "\nExit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.");

  CLI::App* topic = root.add_subcommand("topic", "List, create, describe, change and delete topics");
  topic->require_subcommand(1);
  add_topic_list(*topic, ctx);
  add_topic_create(*topic, ctx);
  add_topic_describe(*topic, ctx);
  add_topic_alter(*topic, ctx);
  add_topic_add_partitions(*topic, ctx);
  add_topic_delete_records(*topic, ctx);
  add_topic_delete(*topic, ctx);
  CLI::App* config =
      root.add_subcommand("config", "Show and set configuration of topics, brokers and groups");
  config->require_subcommand(1);
  add_config_list(*config, ctx);
  add_config_get(*config, ctx);
  add_config_set(*config, ctx);
  add_config_unset(*config, ctx);
  add_cluster(root, ctx);
  CLI::App* group =
      root.add_subcommand("group", "List, describe and delete consumer groups, move their offsets");
  group->require_subcommand(1);
  add_group_list(*group, ctx);
  add_group_describe(*group, ctx);
  add_group_reset_offsets(*group, ctx);
  add_group_delete_offsets(*group, ctx);
  add_group_delete(*group, ctx);
  add_produce(root, ctx);
  add_consume(root, ctx);
  add_top(root, ctx);
  add_bench(root, ctx);

  CLI::App* processor = root.add_subcommand("processor", "Try out, deploy and look after processors");
  processor->require_subcommand(1);
  add_processor_test(*processor, ctx);
  add_processor_deploy(*processor, ctx);
  add_processor_list(*processor, ctx);
  add_processor_describe(*processor, ctx);
  add_processor_replay(*processor, ctx);
  add_processor_diff(*processor, ctx);
  add_processor_actions(*processor, ctx);

  CLI::App* log = root.add_subcommand("log", "A broker's files, without the broker: look, check, move");
  log->require_subcommand(1);
  add_log_dump(*log, ctx);
  add_log_explain(*log, ctx);
  add_log_verify(*log, ctx);
  add_log_import(*log, ctx);
  add_log_export(*log, ctx);
  add_profiles(root, ctx);
  add_completion(root, ctx);
}

// The verb that was parsed, if it talks to a cluster, does so as the profile says.
result<void> settle_connection(const CLI::App& root, context& ctx) {
  const CLI::App* verb = &root;
  while (!verb->get_subcommands().empty()) verb = verb->get_subcommands().front();
  if (verb->get_option_no_throw("--bootstrap") == nullptr) return {};
  return apply_profile(ctx.common.to, {.profile = ctx.common.profile,
                                       .has_bootstrap = verb->count("--bootstrap") > 0,
                                       .has_timeout = verb->count("--timeout") > 0});
}

exit_code run_action(const CLI::App& root, context& ctx) {
  const result<void> settled = settle_connection(root, ctx);
  result<exit_code> done = settled ? ctx.action(ctx) : fail(settled.error());
  // What was printed before an error is still wanted; a failure to print is an error itself.
  const result<void> flushed = ctx.out.flush();
  if (!done) {
    report(ctx, done.error());
    return done.error().code == errc::invalid_argument ? exit_code::usage : exit_code::failure;
  }
  if (!flushed) {
    report(ctx, flushed.error());
    return exit_code::failure;
  }
  return *done;
}

// `millrace __manual DIRECTORY`: the build writes the man pages with it.
int write_manual(const CLI::App& root, const std::string& directory) {
  for (const auto& [name, text] : manual_pages(root, MILLRACE_VERSION)) {
    std::ofstream page(directory + "/" + name, std::ios::binary);
    page << text;
    page.close();
    if (page.fail()) {
      fmt::print(stderr, "millrace: cannot write {}/{}\n", directory, name);
      return static_cast<int>(exit_code::failure);
    }
  }
  return static_cast<int>(exit_code::ok);
}

int run(int argc, char** argv) {
  install_signal_handlers();
  context ctx;
  CLI::App root(
      "Topics, records, consumer groups and logs of a Kafka-compatible broker, from the command line.");
  declare_verbs(root, ctx);
  if (argc > 2 && std::string_view(argv[1]) == "__complete") {
    const std::vector<std::string> words(argv + 2, argv + argc);
    return static_cast<int>(run_complete(root, ctx, words));
  }
  if (argc == 3 && std::string_view(argv[1]) == "__manual") return write_manual(root, argv[2]);
  try {
    root.parse(argc, argv);
  } catch (const CLI::Success& answered) {  // --help, --version
    return root.exit(answered);
  } catch (const CLI::ParseError& wrong) {
    fmt::print(stderr, "millrace: {}", explain_usage_error(root, wrong));
    return static_cast<int>(exit_code::usage);
  }
  return static_cast<int>(run_action(root, ctx));
}

}  // namespace

}  // namespace millrace::tools

int main(int argc, char** argv) {
  return millrace::tools::run(argc, argv);
}
