#include "tools/cli/manual.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <vector>

namespace millrace::tools {

namespace {

constexpr std::string_view exit_status = R"(.SH EXIT STATUS
.TP
0
Done.
.TP
1
Failed, or something was found wrong; standard error says what.
.TP
2
Wrong usage; nothing was attempted.
.TP
130
Ended by Ctrl\-C.
.TP
143
Ended by SIGTERM.
)";

constexpr std::string_view environment = R"(.SH ENVIRONMENT
.TP
.B MILLRACE_BOOTSTRAP
Brokers to ask first, as
.B \-\-bootstrap
takes them.
.TP
.B MILLRACE_PROFILE
The profile in use, as
.B \-\-profile
takes it.
.TP
.B MILLRACE_CONFIG
The configuration file.
.TP
.B MILLRACE_ADMIN_SOCKET
The admin socket of the broker on this machine.
.TP
.B NO_COLOR
If set and not empty, no colour.
.SH FILES
.TP
.I ~/.config/millrace/config.toml
Clusters by name; under
.B XDG_CONFIG_HOME
if that is set.
)";

// What a reader of the page sees is `text` itself.
std::string escaped(std::string_view text) {
  std::string out;
  bool is_at_start = true;
  for (const char c : text) {
    if (is_at_start && (c == '.' || c == '\'')) out += "\\&";
    is_at_start = c == '\n';
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

std::string bold(std::string_view text) {
  return fmt::format("\\fB{}\\fR", escaped(text));
}
std::string italic(std::string_view text) {
  return fmt::format("\\fI{}\\fR", escaped(text));
}

std::vector<const CLI::App*> verbs_of(const CLI::App& app) {
  // An option group is a nameless subcommand to CLI11; a verb without a group is hidden.
  return app.get_subcommands(
      [](const CLI::App* s) { return !s->get_name().empty() && !s->get_group().empty(); });
}

std::vector<const CLI::Option*> options_of(const CLI::App& verb) {
  std::vector<const CLI::Option*> found = verb.get_options();
  for (const CLI::App* group :
       verb.get_subcommands([](const CLI::App* s) { return s->get_name().empty(); })) {
    const std::vector<const CLI::Option*> more = options_of(*group);
    found.insert(found.end(), more.begin(), more.end());
  }
  std::erase_if(found, [](const CLI::Option* o) { return o->get_group().empty(); });
  return found;
}

std::string full_name(const CLI::App& verb) {
  const CLI::App* parent = verb.get_parent();
  return parent == nullptr ? verb.get_name() : full_name(*parent) + " " + verb.get_name();
}

bool is_repeated(const CLI::Option& option) {
  return option.get_items_expected_max() > 1;
}

// "TOPIC PARTITION..." of a verb, "COMMAND ..." of one that has commands of its own.
std::string usage_of(const CLI::App& verb) {
  std::string text = bold(full_name(verb));
  const std::vector<const CLI::Option*> options = options_of(verb);
  if (std::ranges::any_of(options, [](const CLI::Option* o) { return !o->get_positional(); }))
    text += " [" + italic("OPTION") + "]...";
  for (const CLI::Option* option : options) {
    if (!option->get_positional()) continue;
    const std::string name = italic(option->get_name(true)) + (is_repeated(*option) ? "..." : "");
    text += option->get_required() ? " " + name : " [" + name + "]";
  }
  if (!verbs_of(verb).empty()) text += " " + italic("COMMAND") + " ...";
  return text;
}

// The value that an option takes: "N", or "{none,gzip}".
std::string value_of(const CLI::Option& option) {
  if (option.get_items_expected_max() == 0) return {};
  const std::string type = option.get_type_name();
  const size_t choices = type.find('{');
  return choices != std::string::npos ? type.substr(choices) : type.substr(0, type.find(':'));
}

std::string entry_of(const CLI::Option& option) {
  std::string head;
  if (option.get_positional()) {
    head = italic(option.get_name(true));
  } else {
    for (const std::string& name : option.get_snames()) head += (head.empty() ? "" : ", ") + bold("-" + name);
    for (const std::string& name : option.get_lnames())
      head += (head.empty() ? "" : ", ") + bold("--" + name);
    if (const std::string value = value_of(option); !value.empty()) head += " " + italic(value);
  }
  std::string about = option.get_description();
  if (!option.get_default_str().empty()) about += fmt::format(" (default: {})", option.get_default_str());
  return fmt::format(".TP\n{}\n{}\n", head, escaped(about));
}

std::string options_text(const CLI::App& verb) {
  std::string text;
  for (const CLI::Option* option : options_of(verb)) text += entry_of(*option);
  return text;
}

// The examples of a verb, and what its help says behind them. CLI11 gives a verb without any those of its
// parent.
std::string examples_of(const CLI::App& verb) {
  const std::string footer = verb.get_footer();
  const CLI::App* parent = verb.get_parent();
  if (footer.empty() || (parent != nullptr && parent->get_footer() == footer)) return {};
  constexpr std::string_view title = "Examples:\n";
  const std::string text = footer.starts_with(title) ? footer.substr(title.size()) : footer;
  return fmt::format(".PP\nExamples:\n.PP\n.nf\n{}\n.fi\n", escaped(text));
}

std::string page_name(const CLI::App& verb) {
  std::string name = full_name(verb);
  std::ranges::replace(name, ' ', '-');
  return name;
}

std::string head_of(const CLI::App& verb, std::string_view version) {
  std::string title = page_name(verb);
  std::ranges::transform(title, title.begin(), [](unsigned char c) { return std::toupper(c); });
  return fmt::format(".TH {} 1 \"\" \"Millrace {}\" \"Millrace\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n",
                     escaped(title), version, escaped(page_name(verb)), escaped(verb.get_description()));
}

std::string root_page(const CLI::App& root, std::string_view version) {
  std::string text = head_of(root, version) + usage_of(root) + "\n.SH COMMANDS\n";
  for (const CLI::App* verb : verbs_of(root))
    text += fmt::format(".TP\n.BR {} (1)\n{}\n", escaped(page_name(*verb)), escaped(verb->get_description()));
  text += ".SH OPTIONS\n" + options_text(root);
  return text + ".SH EXAMPLES\n" + examples_of(root) + std::string(exit_status) + std::string(environment);
}

std::string verb_page(const CLI::App& verb, std::string_view version) {
  std::string text = head_of(verb, version);
  const std::vector<const CLI::App*> commands = verbs_of(verb);
  if (commands.empty()) {
    text += usage_of(verb) + "\n.SH OPTIONS\n" + options_text(verb) + examples_of(verb);
  } else {
    for (const CLI::App* command : commands) text += usage_of(*command) + "\n.br\n";
    text += ".SH COMMANDS\n";
    for (const CLI::App* command : commands) {
      text += fmt::format(".SS {}\n{}\n", usage_of(*command), escaped(command->get_description()));
      text += options_text(*command) + examples_of(*command);
    }
  }
  return text + std::string(exit_status) + ".SH SEE ALSO\n.BR millrace (1)\n";
}

}  // namespace

std::map<std::string, std::string> manual_pages(const CLI::App& root, std::string_view version) {
  std::map<std::string, std::string> pages;
  pages[page_name(root) + ".1"] = root_page(root, version);
  for (const CLI::App* verb : verbs_of(root)) pages[page_name(*verb) + ".1"] = verb_page(*verb, version);
  return pages;
}

}  // namespace millrace::tools
