// millraced: reads the configuration, starts the shards, serves until SIGTERM or SIGINT.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <malloc.h>
#include <signal.h>

#include "base/log.h"
#include "broker/broker.h"
#include "broker/config/command_line.h"
#include "broker/config/load.h"
#include "processors/host/trial.h"
#include "processors/isolation/guest_main.h"
#include "runtime/probe.h"
#include "runtime/shards.h"
#include "runtime/signals.h"

namespace millrace::broker {
namespace {

constexpr int exit_failure = 1;

// Errors quote what they were given, a key of a file, say; a terminal must not obey what is in it.
std::string without_control_characters(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    const bool is_control = (code < 0x20 && c != '\n') || code == 0x7f;
    shown += is_control ? fmt::format("\\x{:02x}", code) : std::string(1, c);
  }
  return shown;
}

int complain(int code, const error& why) {
  const std::string text = without_control_characters(why.message.empty() ? to_string(why) : why.message);
  std::fprintf(stderr, "millraced: %s\n", text.c_str());
  return code;
}

result<config> read_config(const command_line& line, std::vector<std::string>& unknown_variables) {
  config given;
  if (line.config_file) MR_TRY(load_file(given, *line.config_file));
  size_t count = 0;
  while (environ[count] != nullptr) ++count;
  auto unknown = load_environment(given, std::span<const char* const>(environ, count));
  if (!unknown) return fail(std::move(unknown).error());
  unknown_variables = *std::move(unknown);
  for (const std::string& assignment : line.assignments) MR_TRY(load_assignment(given, assignment));
  return given;
}

void note_oddities(const config& given, const std::vector<std::string>& unknown_variables) {
  std::string idle;
  for (const std::string_view key : given.idle_keys_given())
    idle += fmt::format("{}{}", idle.empty() ? "" : " ", key);
  if (!idle.empty()) log::info("configuration keys without effect here keys=\"{}\"", idle);
  for (const std::string& name : unknown_variables)
    log::warn("environment variable names no key name={}", name);
}

// Memory of requests is taken and given back all the time; handing it to the kernel in between costs a page
// fault for each 4 KiB when it comes back.
void keep_freed_memory() {
  ::mallopt(M_MMAP_THRESHOLD, 32 * 1024 * 1024);  // the most that glibc takes
  ::mallopt(M_TRIM_THRESHOLD, 256 * 1024 * 1024);
}

// What a start needed, and nothing later does.
void give_back_freed_memory() {
  ::malloc_trim(0);
}

log::level level_of(std::string_view name) {
  for (const auto& [text, level] :
       {std::pair{"trace", log::level::trace}, std::pair{"debug", log::level::debug},
        std::pair{"warn", log::level::warn}, std::pair{"error", log::level::error}}) {
    if (name == text) return level;
  }
  return log::level::info;
}

void say_ready(const std::vector<std::string>& listening) {
  std::string line = "millraced ready: ";
  for (size_t i = 0; i < listening.size(); ++i) line += (i == 0 ? "" : ",") + listening[i];
  std::puts(line.c_str());
  std::fflush(stdout);
}

// On shard 0, from start to stop.
runtime::task<int> serve(config given, settings s) {
  auto started = co_await broker::start(std::move(given), std::move(s));
  if (!started) co_return complain(exit_failure, started.error());
  broker& running = **started;
  say_ready(running.listening());
  give_back_freed_memory();
  const result<int> signal = co_await runtime::next_signal({SIGTERM, SIGINT});
  log::info("stopping signal={}", signal ? ::strsignal(*signal) : "none");
  const result<void> stopped = co_await running.stop();
  if (!stopped) co_return complain(exit_failure, stopped.error());
  co_return EXIT_SUCCESS;
}

int run(config given, const std::vector<std::string>& unknown_variables) {
  result<settings> s = make_settings(given);
  if (!s) return complain(exit_config, s.error());
  const auto io = runtime::parse_backend_choice(s->io_backend);
  if (!io) return complain(exit_config, io.error());

  // Threads inherit the mask: only the coroutine that waits for these signals sees them.
  runtime::block_signals({SIGTERM, SIGINT, SIGPIPE});
  log::start(level_of(given.required("log.level")));
  note_oddities(given, unknown_variables);
  keep_freed_memory();
  runtime::raise_open_file_limit();

  processors::enable_trials("/proc/self/exe", std::chrono::milliseconds(s->processor_load_timeout_ms));
  auto shards = runtime::shards::start({.count = s->shards, .io = *io});
  if (!shards) return complain(exit_failure, shards.error());
  log::info("starting version=\"{}\" shards={} io={} data={}", MILLRACE_VERSION, s->shards,
            (*shards)->backend_name(), s->data_directory);
  if (const std::string_view kept = given.required("durability"); kept != "sync")
    log::warn("acknowledged records may be lost unless their topic says durability=sync default={} by=\"{}\"",
              kept, kept == "os" ? "a power cut" : "any crash");
  const int code = (*shards)->run<int>([&] { return serve(std::move(given), *std::move(s)); });
  (*shards)->stop();
  log::stop();
  return code;
}

int main(std::span<const char* const> arguments) {
  if (arguments.size() == 1 && std::string_view(arguments[0]) == processors::trial_argument)
    return processors::run_trial();
  if (arguments.size() == 1 && std::string_view(arguments[0]) == processors::guest_argument)
    return processors::run_guest();
  const result<command_line> line = parse_command_line(arguments);
  if (!line) return complain(exit_usage, line.error());
  if (line->what == command_line::action::show_help)
    return std::fputs(help_text().c_str(), stdout), EXIT_SUCCESS;
  if (line->what == command_line::action::show_version)
    return std::fputs(version_text().c_str(), stdout), EXIT_SUCCESS;
  std::vector<std::string> unknown_variables;
  result<config> given = read_config(*line, unknown_variables);
  if (!given) return complain(exit_config, given.error());
  return run(*std::move(given), unknown_variables);
}

}  // namespace
}  // namespace millrace::broker

int main(int argc, char** argv) {
  return millrace::broker::main(
      std::span<const char* const>(argv + 1, static_cast<size_t>(argc > 0 ? argc - 1 : 0)));
}
