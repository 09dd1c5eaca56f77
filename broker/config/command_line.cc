#include "broker/config/command_line.h"

#include "broker/config/key_spec.h"
#include "broker/config/tables.h"

#ifndef MILLRACE_VERSION
#error "the build passes MILLRACE_VERSION"
#endif

namespace millrace::broker {
namespace {

constexpr std::string_view help_head = R"(millraced: a Kafka-compatible broker with processors inside the log

Usage: millraced [--config FILE] [--set KEY=VALUE]...

  --config FILE     read a TOML file: a [broker] table with quoted keys, [[processor]] tables
  --set KEY=VALUE   set one key; wins over MILLRACE_... variables, which win over the file
  --help            this text
  --version         the version

Examples:
  millraced
      listen on 127.0.0.1:9092, data in ./data
  millraced --config configs/dev.toml
  millraced --set listeners=PLAINTEXT://[::]:9092 --set advertised.listeners=PLAINTEXT://broker.example:9092
  MILLRACE_LOG_DIRS=/var/lib/millrace millraced --set num.partitions=4

It runs in the foreground, logs to standard error, and prints one line on standard output when it is ready:
  millraced ready: PLAINTEXT://127.0.0.1:9092
SIGTERM or SIGINT: finish the requests in progress, then exit 0. Other exit codes: 1 failure, 2 usage,
78 configuration.

Keys (Kafka's names; in a file, in quotes under [broker]):
)";

}  // namespace

result<command_line> parse_command_line(std::span<const char* const> arguments) {
  command_line line;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view argument = arguments[i];
    if (argument == "--help" || argument == "-h") {
      line.what = command_line::action::show_help;
      return line;
    }
    if (argument == "--version") {
      line.what = command_line::action::show_version;
      return line;
    }
    // Both "--config FILE" and "--config=FILE".
    std::optional<std::string_view> value;
    if (const size_t equals = argument.find('=');
        argument.starts_with("--") && equals != std::string_view::npos) {
      value = argument.substr(equals + 1);
      argument = argument.substr(0, equals);
    }
    if (argument != "--config" && argument != "--set") {
      return fail(errc::invalid_argument, "unknown argument \"{}\"; try millraced --help", arguments[i]);
    }
    if (!value) {
      if (i + 1 == arguments.size())
        return fail(errc::invalid_argument, "{} needs a value; try millraced --help", argument);
      value = arguments[++i];
    }
    if (argument == "--set") {
      line.assignments.emplace_back(*value);
    } else if (line.config_file) {
      return fail(errc::invalid_argument, "--config is given twice");
    } else {
      line.config_file = *value;
    }
  }
  return line;
}

std::string help_text() {
  std::string text(help_head);
  for (const key_spec& key : broker_keys()) {
    text += fmt::format("  {} ({}{}{}{})\n      {}\n", key.name, type_name(key.type),
                        key.default_value ? fmt::format(", default {}", *key.default_value) : "",
                        key.valid.empty() ? "" : ", ", key.valid, key.doc);
  }
  text += fmt::format("\n{} more of Kafka's keys are accepted without effect.\n", idle_keys().size());
  return text;
}

std::string version_text() {
  return "millraced " MILLRACE_VERSION "\n";
}

}  // namespace millrace::broker
