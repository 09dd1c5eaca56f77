#include "tools/cli/usage.h"

#include <fmt/format.h>

#include "tools/text/suggest.h"

namespace millrace::tools {

namespace {

// The verb that the line had come to when it went wrong.
const CLI::App* deepest(const CLI::App& root) {
  const CLI::App* at = &root;
  for (auto next = at->get_subcommands(); !next.empty(); next = at->get_subcommands()) at = next.front();
  return at;
}

std::string full_name(const CLI::App* verb) {
  std::string name = verb->get_name();
  for (const CLI::App* up = verb->get_parent(); up != nullptr; up = up->get_parent())
    name = up->get_name() + " " + name;
  return name;
}

std::vector<std::string> subcommand_names(const CLI::App* verb) {
  std::vector<std::string> names;
  // An option group is a nameless subcommand to CLI11.
  for (const CLI::App* sub : verb->get_subcommands([](const CLI::App* s) { return !s->get_name().empty(); }))
    names.push_back(sub->get_name());
  return names;
}

std::vector<std::string> option_names(const CLI::App* verb) {
  std::vector<std::string> names;
  for (const CLI::Option* option : verb->get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string explain_unexpected(const CLI::App* verb, const std::string& word) {
  if (word.starts_with("-")) {
    const std::string flag = word.substr(0, word.find('='));
    return fmt::format("`{}` has no option {}{}", full_name(verb), flag,
                       did_you_mean(flag, option_names(verb)));
  }
  const std::vector<std::string> verbs = subcommand_names(verb);
  if (verbs.empty()) return fmt::format("`{}` does not know what to do with '{}'", full_name(verb), word);
  return fmt::format("`{}` has no command '{}'{}", full_name(verb), word, did_you_mean(word, verbs));
}

}  // namespace

std::string explain_usage_error(const CLI::App& root, const CLI::ParseError& wrong) {
  const CLI::App* verb = deepest(root);
  std::string what = wrong.what();
  // get_name() of CLI11's errors says which kind it is; unexpected words are what typos end as.
  if (const std::vector<std::string> rest = root.remaining(true); !rest.empty()) {
    what = explain_unexpected(verb, rest.front());
  } else if (wrong.get_name() == "RequiredError" && !subcommand_names(verb).empty()) {
    what = fmt::format("`{}` wants a command: {}", full_name(verb), fmt::join(subcommand_names(verb), ", "));
  }
  return fmt::format("{}\n  `{} --help` shows what it takes, with examples.\n", what, full_name(verb));
}

}  // namespace millrace::tools
