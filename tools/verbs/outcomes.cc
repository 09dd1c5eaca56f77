#include "tools/verbs/outcomes.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <fmt/ranges.h>
#include <iostream>
#include <unistd.h>

#include "tools/text/json.h"

namespace millrace::tools {

exit_code tell_outcomes(context& ctx, const std::vector<std::string>& names,
                        const std::vector<result<void>>& outcomes, const outcome_words& words) {
  bool all_good = true;
  std::string text;
  json_writer json(text);
  json.begin_array();
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const result<void>& outcome = outcomes[i];
    const bool was_as_wanted = !outcome && outcome.error().code == words.as_wanted_code;
    if (!outcome && !(was_as_wanted && words.is_as_wanted_fine)) {
      report(ctx,
             was_as_wanted && words.explain ? words.explain(names[i], outcome.error()) : outcome.error());
      all_good = false;
      continue;
    }
    json.begin_object().member(words.name_key, names[i]).member(words.done_key, !was_as_wanted).end_object();
    if (!ctx.common.is_json) {
      tell(ctx, fmt::format(fmt::runtime(was_as_wanted ? words.as_wanted : words.done), names[i]));
    }
  }
  json.end_array();
  if (ctx.common.is_json) ctx.out.write(text + "\n");
  return all_good ? exit_code::ok : exit_code::failure;
}

exit_code tell_outcomes(context& ctx, const std::vector<partition_outcome>& outcomes) {
  bool all_good = true;
  std::string text;
  json_writer json(text);
  json.begin_array();
  for (const partition_outcome& outcome : outcomes) {
    if (!outcome.done) {
      report(ctx, outcome.done.error());
      all_good = false;
      continue;
    }
    json.begin_object().member("topic", outcome.topic).member("partition", outcome.partition);
    if (outcome.first_offset) json.member("first_offset", *outcome.first_offset);
    json.end_object();
    if (!ctx.common.is_json) tell(ctx, *outcome.done);
  }
  json.end_array();
  if (ctx.common.is_json) ctx.out.write(text + "\n");
  return all_good ? exit_code::ok : exit_code::failure;
}

bool is_confirmed(const std::string& question, bool is_sure) {
  if (is_sure || isatty(STDIN_FILENO) == 0 || isatty(STDERR_FILENO) == 0) return true;
  fmt::print(stderr, "{} [y/N] ", question);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "yes";
}

namespace {

struct delete_options {
  deletable what;
  std::vector<std::string> names;
  bool is_sure = false;
  bool if_exists = false;
};

result<exit_code> run_delete(context& ctx, const delete_options& options) {
  const deletable& what = options.what;
  const std::string question =
      fmt::format("Delete {} and {}?", fmt::join(options.names, ", "), what.goes_too);
  if (!is_confirmed(question, options.is_sure)) {
    tell(ctx, "Nothing was deleted.");
    return exit_code::failure;
  }
  const auto client = handle::open(RD_KAFKA_CONSUMER, ctx.common.to, {});
  if (!client) return fail(client.error());
  const auto results = what.remove(**client, options.names);
  if (!results) return fail(results.error());
  const auto explain = [&](const std::string& name, const error& e) {
    const auto found = what.find(**client, name);
    return found ? e : found.error();
  };
  return tell_outcomes(ctx, options.names, *results,
                       {.name_key = what.name_key,
                        .done_key = "deleted",
                        .done = fmt::format("Deleted {} {{}}.", what.noun),
                        .as_wanted = fmt::format("There is no {} {{}}.", what.noun),
                        .as_wanted_code = what.unknown_code,
                        .is_as_wanted_fine = options.if_exists,
                        .explain = explain});
}

}  // namespace

void add_delete(CLI::App& noun, context& ctx, const deletable& what) {
  const auto declare = [&](CLI::App& verb, delete_options& options) {
    options.what = what;
    std::string placeholder = what.noun;
    std::ranges::transform(placeholder, placeholder.begin(), [](unsigned char c) { return std::toupper(c); });
    verb.alias("rm");
    verb.add_option(placeholder, options.names, fmt::format("Names of the {}s", what.noun))->required();
    verb.add_flag("-y,--yes", options.is_sure, "Do not ask, even on a terminal");
    verb.add_flag("--if-exists", options.if_exists,
                  fmt::format("A {} that does not exist is no error", what.noun));
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(verb, what.examples);
  };
  add_verb<delete_options>(noun, ctx, "delete", what.summary, declare, run_delete);
}

}  // namespace millrace::tools
