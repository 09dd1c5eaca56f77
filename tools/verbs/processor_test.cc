// `millrace processor test` is a program of its own, millrace-processor-test, which lies beside this one:
// what runs processors is built with them, from the SDK, and is no part of the tools. It knows libraries and
// options; a file with a [[processor]] is put into its terms here.
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <unistd.h>
#include <vector>

#include "tools/admin/definition.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

using nlohmann::json;

constexpr const char* program = "millrace-processor-test";

std::string text_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string all;
  for (const json& element : value) all += (all.empty() ? "" : ",") + text_of(element);
  return all;
}

// As the broker hands it to the processor: names of tables stand before what is in them.
void add_config(const json& config, const std::string& prefix, std::vector<std::string>& to) {
  for (const auto& [name, value] : config.items()) {
    if (value.is_object()) {
      add_config(value, prefix + name + ".", to);
      continue;
    }
    to.emplace_back("--config");
    to.push_back(prefix + name + "=" + text_of(value));
  }
}

// The arguments of that program for a file with a [[processor]].
result<std::vector<std::string>> arguments_of(const std::string& file) {
  const auto definition = read_definition(file);
  if (!definition) return fail(definition.error());
  if (!definition->contains("library") || !(*definition)["library"].is_string())
    return fail(errc::invalid_argument, "{}: the [[processor]] has no library", file);
  std::vector<std::string> all{(*definition)["library"].get<std::string>()};
  if (const auto config = definition->find("config"); config != definition->end() && config->is_object())
    add_config(*config, "", all);
  return all;
}

// Becomes that program; returns only if it cannot.
result<exit_code> run(std::vector<std::string> arguments) {
  if (!arguments.empty() && std::filesystem::path(arguments.front()).extension() == ".toml") {
    auto given = arguments_of(arguments.front());
    if (!given) return fail(given.error());
    given->insert(given->end(), arguments.begin() + 1, arguments.end());
    arguments = *std::move(given);
  }
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
