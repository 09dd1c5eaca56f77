// verb: how one file adds one verb to the command line.
//
// A verb's file declares its flags on a CLI::App and leaves an action behind; main() runs the action
// after the whole command line was found good. An action returns an exit code or an error, which is
// reported in one place with advice on what to do next.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <memory>
#include <stdlib.h>
#include <string>

#include "base/result.h"
#include "tools/cli/exit_code.h"
#include "tools/cli/output.h"
#include "tools/kafka/handle.h"

namespace millrace::tools {

// What every verb understands.
struct common_options {
  connection to;
  std::string profile;  // --profile; see profile.h
  bool is_json = false;
  bool is_quiet = false;
};

struct context {
  // The environment is read here, once: CLI11 would let it win over another verb's flag of that name.
  context() {
    if (const char* bootstrap = getenv("MILLRACE_BOOTSTRAP"); bootstrap != nullptr && *bootstrap != '\0') {
      common.to.bootstrap = bootstrap;
    }
  }

  common_options common;
  output out{1};
  // Chosen by the parsed verb.
  std::function<result<exit_code>(context&)> action;
};

// --bootstrap, --profile, -X, --timeout: for verbs that talk to a cluster.
void add_connection_options(CLI::App& verb, context& ctx);
// --json, --quiet: for all.
void add_output_options(CLI::App& verb, context& ctx);
// The text under "Examples:" in --help; one command a line, comments after #.
void add_examples(CLI::App& verb, std::string_view examples);

// Adds a verb whose options live in `Options` and whose work is `run(ctx, options)`.
template <class Options, class Declare>
CLI::App* add_verb(CLI::App& parent, context& ctx, const std::string& name, const std::string& summary,
                   Declare declare, result<exit_code> (*run)(context&, const Options&)) {
  CLI::App* verb = parent.add_subcommand(name, summary);
  auto options = std::make_shared<Options>();
  declare(*verb, *options);
  verb->callback(
      [&ctx, options, run] { ctx.action = [options, run](context& c) { return run(c, *options); }; });
  return verb;
}

// Prints a message for a person to standard error, unless --quiet.
void tell(const context& ctx, std::string_view text);
// Prints an error and, where there is some, advice; as one JSON object with --json.
void report(const context& ctx, const error& e);

}  // namespace millrace::tools
