// manual: the man pages, made of what the verbs declare: the source of --help.
#pragma once

#include <CLI/App.hpp>
#include <map>
#include <string>
#include <string_view>

namespace millrace::tools {

// Pages of section 1 in man's own language, by file name: "millrace.1", and "millrace-VERB.1" for each verb.
std::map<std::string, std::string> manual_pages(const CLI::App& root, std::string_view version);

}  // namespace millrace::tools
