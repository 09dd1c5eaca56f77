// `millrace processor test` is a program of its own, millrace-processor-test, which lies beside this one:
// what runs processors is built with them, from the SDK, and is no part of the tools.
#include <cerrno>
#include <climits>
#include <cstring>
#include <unistd.h>
#include <vector>

#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

constexpr const char* program = "millrace-processor-test";

// Becomes that program; returns only if it cannot.
result<exit_code> run(std::vector<std::string> arguments) {
  char self[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof(self));
  if (length <= 0) return fail(errc::io_error, "cannot find the directory of this program");
  std::string path(self, static_cast<size_t>(length));
  path = path.substr(0, path.rfind('/') + 1) + program;
  arguments.insert(arguments.begin(), path);
  std::vector<char*> raw;
  for (std::string& argument : arguments) raw.push_back(argument.data());
  raw.push_back(nullptr);
  ::execv(path.c_str(), raw.data());
  return fail(errc::not_found, "cannot run {}: {}", path, std::strerror(errno));
}

}  // namespace

void add_processor_test(CLI::App& processor, context& ctx) {
  CLI::App* verb =
      processor.add_subcommand("test", "Run a processor over a file of records, without a broker");
  verb->set_help_flag();  // that program has its own
  verb->prefix_command();
  verb->callback(
      [verb, &ctx] { ctx.action = [arguments = verb->remaining()](context&) { return run(arguments); }; });
}

}  // namespace millrace::tools
