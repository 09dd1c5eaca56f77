// completion: what a shell offers when Tab is pressed.
//
// The scripts that `millrace completion SHELL` prints are small: they hand the words of the line to
// `millrace __complete WORD...`, the last being the one to complete, and offer what it prints. So the offers
// come from the declarations of the verbs themselves, and names of topics and groups from the cluster.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::tools {

struct offer {
  std::string word;
  std::string about;  // one line; may be empty
};

struct offers {
  std::vector<offer> words;
  bool files_too = false;  // names of files fit as well
};

// Names that only the cluster knows; asked for at most once, and only where one of them could stand.
struct cluster_names {
  std::function<std::vector<std::string>()> topics;
  std::function<std::vector<std::string>()> groups;
};

// What may stand in place of the last of `words` (those behind the program's name; at least one).
offers complete(const CLI::App& root, std::span<const std::string> words, const cluster_names& names);

// The value that an option of the line has, by one of its names ("-b", "--bootstrap").
std::optional<std::string> value_in(std::span<const std::string> words, std::string_view short_name,
                                    std::string_view long_name);

// The script for "bash", "zsh" or "fish"; nothing for another shell.
std::optional<std::string_view> completion_script(std::string_view shell);

}  // namespace millrace::tools
