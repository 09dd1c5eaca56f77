// usage: what a wrong command line is told.
#pragma once

#include <CLI/App.hpp>
#include <string>

namespace millrace::tools {

// One or two lines for standard error: what is wrong, what was probably meant, where help is.
std::string explain_usage_error(const CLI::App& root, const CLI::ParseError& wrong);

}  // namespace millrace::tools
