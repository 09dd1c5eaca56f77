#include "tools/cli/verb.h"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <fmt/format.h>
#include <unistd.h>

#include "tools/cli/terminal.h"
#include "tools/kafka/errors.h"
#include "tools/text/json.h"

namespace millrace::tools {

void add_connection_options(CLI::App& verb, context& ctx) {
  constexpr const char* group = "Cluster";
  verb.add_option("-b,--bootstrap", ctx.common.to.bootstrap,
                  "Brokers to ask first, comma-separated; or set MILLRACE_BOOTSTRAP")
      ->type_name("HOST:PORT")
      ->capture_default_str()
      ->group(group);
  verb.add_option("--profile", ctx.common.profile,
                  "A cluster of your configuration file (`millrace profiles`); or set MILLRACE_PROFILE")
      ->type_name("NAME")
      ->group(group);
  verb.add_option("-X,--property", ctx.common.to.properties, "A librdkafka property; may be repeated")
      ->type_name("KEY=VALUE")
      ->type_size(1)
      ->allow_extra_args(false)
      ->group(group);
  verb.add_option("--timeout", ctx.common.to.timeout_seconds, "Seconds to wait for an answer of the broker")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str()
      ->group(group);
}

void add_output_options(CLI::App& verb, context& ctx) {
  verb.add_flag("--json", ctx.common.is_json, "Print JSON of a stable shape instead of text")
      ->group("Output");
  verb.add_flag("-q,--quiet", ctx.common.is_quiet, "No messages on standard error but errors")
      ->group("Output");
}

void add_examples(CLI::App& verb, std::string_view examples) {
  verb.footer("Examples:\n" + std::string(examples));
}

void tell(const context& ctx, std::string_view text) {
  if (ctx.common.is_quiet) return;
  fmt::print(stderr, "{}\n", text);
}

void report(const context& ctx, const error& e) {
  const std::string message = e.message.empty() ? std::string(name_of(e.code)) : e.message;
  const std::string_view advice = advice_for(e.code);
  if (ctx.common.is_json) {
    std::string line;
    json_writer json(line);
    json.begin_object().key("error").begin_object();
    json.member("code", name_of(e.code)).member("message", message).member("advice", advice);
    json.end_object().end_object();
    fmt::print(stderr, "{}\n", line);
    return;
  }
  fmt::print(stderr, "{} {}\n", styled(STDERR_FILENO, style::red, "millrace:"), message);
  if (!advice.empty()) fmt::print(stderr, "  {}\n", styled(STDERR_FILENO, style::dim, advice));
}

}  // namespace millrace::tools
