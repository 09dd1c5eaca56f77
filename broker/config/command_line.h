// command_line: what the program was asked to do.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace millrace::broker {

// sysexits.h has these; scripts and systemd units tell the cases apart by them.
inline constexpr int exit_usage = 2;
inline constexpr int exit_config = 78;

struct command_line {
  enum class action { run, show_help, show_version };
  action what = action::run;
  std::optional<std::string> config_file;
  std::vector<std::string> assignments;  // of --set, in order
};

result<command_line> parse_command_line(std::span<const char* const> arguments);

// The whole of --help, keys included.
std::string help_text();
std::string version_text();

}  // namespace millrace::broker
