#include "tools/cli/completion.h"

#include <algorithm>

namespace millrace::tools {

namespace {

constexpr std::string_view bash_script =
    R"(# Completion of millrace for bash:  source <(millrace completion bash)
_millrace() {
  local line word words=()
  COMPREPLY=()
  # "--from=x" is three words to bash, and it wants offers for the last of them.
  for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do [[ $word == = ]] || words+=("$word"); done
  if [[ $word == = ]]; then word=; words+=(''); fi
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o filenames 2>/dev/null
      mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")
    else
      COMPREPLY+=("${line%%$'\t'*}")
    fi
  done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
}
complete -F _millrace millrace
)";

constexpr std::string_view zsh_script = R"(#compdef millrace
# Completion of millrace for zsh:  source <(millrace completion zsh)
_millrace() {
  local line
  local -a described
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      _files
    else
      described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    fi
  done < <(millrace __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
  (( ${#described} )) && _describe millrace described
}
compdef _millrace millrace
)";

constexpr std::string_view fish_script =
    R"(# Completion of millrace for fish:  millrace completion fish | source
function __millrace_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (millrace __complete $words[2..-1] 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c millrace -f -a '(__millrace_complete)'
)";

bool is_nameless(const CLI::App* app) {
  return app->get_name().empty();
}

// The options of a verb, those of its groups included (a group is a nameless subcommand to CLI11).
std::vector<const CLI::Option*> options_of(const CLI::App& verb) {
  std::vector<const CLI::Option*> found = verb.get_options();
  for (const CLI::App* group : verb.get_subcommands(is_nameless)) {
    const std::vector<const CLI::Option*> more = options_of(*group);
    found.insert(found.end(), more.begin(), more.end());
  }
  return found;
}

bool takes_value(const CLI::Option& option) {
  return option.get_items_expected_max() > 0;
}

const CLI::Option* find_option(const CLI::App& verb, const std::string& name) {
  for (const CLI::Option* option : options_of(verb)) {
    if (!option->get_positional() && option->check_name(name)) return option;
  }
  return nullptr;
}

const CLI::App* find_verb(const CLI::App& in, const std::string& name) {
  for (const CLI::App* verb : in.get_subcommands([](const CLI::App* s) { return !is_nameless(s); })) {
    if (verb->check_name(name)) return verb;
  }
  return nullptr;
}

// A line came so far: its verb, the option whose value is next, how many positionals it has.
struct position {
  const CLI::App* verb;
  const CLI::Option* wants = nullptr;
  size_t positionals = 0;
  bool only_positionals = false;  // behind "--"
};

position follow(const CLI::App& root, std::span<const std::string> words) {
  position at{&root};
  for (const std::string& word : words) {
    if (at.wants != nullptr) {
      at.wants = nullptr;
    } else if (word == "--" && !at.only_positionals) {
      at.only_positionals = true;
    } else if (word.size() > 1 && word[0] == '-' && !at.only_positionals) {
      const CLI::Option* option = word.find('=') == std::string::npos ? find_option(*at.verb, word) : nullptr;
      if (option != nullptr && takes_value(*option)) at.wants = option;
    } else if (const CLI::App* next = at.positionals == 0 ? find_verb(*at.verb, word) : nullptr) {
      at.verb = next;
    } else {
      ++at.positionals;
    }
  }
  return at;
}

// The positional that stands at `index`; the last one takes what is left if it may be repeated.
const CLI::Option* positional_at(const CLI::App& verb, size_t index) {
  for (const CLI::Option* option : options_of(verb)) {
    if (!option->get_positional()) continue;
    const auto most = static_cast<size_t>(std::max(option->get_items_expected_max(), 1));
    if (index < most) return option;
    index -= most;
  }
  return nullptr;
}

// "lines,json" of a type such as "TEXT:{json,lines}".
std::vector<std::string> choices_in(const std::string& type) {
  std::vector<std::string> found;
  const size_t open = type.find('{'), close = type.rfind('}');
  if (open == std::string::npos || close == std::string::npos || close < open) return found;
  for (size_t at = open + 1; at < close;) {
    const size_t end = std::min(type.find(',', at), close);
    found.push_back(type.substr(at, end - at));
    at = end + 1;
  }
  return found;
}

void offer_names(offers& to, const std::vector<std::string>& names, const std::string& before) {
  for (const std::string& name : names) to.words.push_back({before + name, ""});
}

// What `option` takes, by the name of its value: declarations speak of TOPIC, GROUP, FILE, PATH.
void offer_values(offers& to, const CLI::Option& option, const cluster_names& names,
                  const std::string& before) {
  const std::string type = option.get_type_name();
  const std::string kind = option.get_positional() ? option.get_name(true) : type;
  if (const auto choices = choices_in(type); !choices.empty()) {
    offer_names(to, choices, before);
  } else if (kind.starts_with("TOPIC")) {
    offer_names(to, names.topics(), before);
  } else if (kind.starts_with("GROUP") || option.check_lname("group")) {
    offer_names(to, names.groups(), before);
  } else if (kind.contains("FILE") || kind.contains("PATH") || kind.contains("DIR") ||
             kind.contains("PLUGIN")) {
    to.files_too = true;
  }
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

offers complete(const CLI::App& root, std::span<const std::string> words, const cluster_names& names) {
  offers found;
  if (words.empty()) return found;
  const std::string& word = words.back();
  const position at = follow(root, words.first(words.size() - 1));
  if (at.wants != nullptr) {
    offer_values(found, *at.wants, names, "");
  } else if (const size_t equals = word.find('='); word.starts_with("--") && equals != std::string::npos) {
    const std::string name = word.substr(0, equals);
    if (const CLI::Option* option = find_option(*at.verb, name)) {
      offer_values(found, *option, names, name + "=");
      found.files_too = false;  // a shell would not see where the name begins
    }
  } else if (word.starts_with("-") && !at.only_positionals) {
    for (const CLI::Option* option : options_of(*at.verb)) {
      for (const std::string& name : option->get_lnames())
        found.words.push_back({"--" + name, first_line(option->get_description())});
      for (const std::string& name : option->get_snames())
        found.words.push_back({"-" + name, first_line(option->get_description())});
    }
  } else {
    const auto verbs = at.verb->get_subcommands(
        [](const CLI::App* s) { return !is_nameless(s) && !s->get_group().empty(); });
    for (const CLI::App* verb : verbs)
      found.words.push_back({verb->get_name(), first_line(verb->get_description())});
    if (verbs.empty()) {
      if (const CLI::Option* option = positional_at(*at.verb, at.positionals))
        offer_values(found, *option, names, "");
    }
  }
  std::erase_if(found.words, [&](const offer& one) { return !one.word.starts_with(word); });
  return found;
}

std::optional<std::string> value_in(std::span<const std::string> words, std::string_view short_name,
                                    std::string_view long_name) {
  for (size_t i = 0; i < words.size(); ++i) {
    if ((words[i] == short_name || words[i] == long_name) && i + 1 < words.size()) return words[i + 1];
    if (words[i].starts_with(long_name) && words[i].size() > long_name.size() &&
        words[i][long_name.size()] == '=')
      return words[i].substr(long_name.size() + 1);
  }
  return std::nullopt;
}

std::optional<std::string_view> completion_script(std::string_view shell) {
  if (shell == "bash") return bash_script;
  if (shell == "zsh") return zsh_script;
  if (shell == "fish") return fish_script;
  return std::nullopt;
}

}  // namespace millrace::tools
