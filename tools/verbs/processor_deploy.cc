#include <filesystem>
#include <nlohmann/json.hpp>

#include "tools/admin/client.h"
#include "tools/admin/definition.h"
#include "tools/admin/deployed.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

using nlohmann::json;

struct deploy_options {
  admin_options broker;
  std::string file;
  std::string name, library, on_error, dead_letter, start, isolation;
  std::vector<std::string> inputs, outputs, config, others;
  bool replaces = false;
  bool is_shadow = false;
};

result<json> definition_of(const deploy_options& options) {
  json definition = json::object();
  if (!options.file.empty()) {
    auto read = read_definition(options.file);
    if (!read) return read;
    definition = *std::move(read);
  }
  for (const auto& [key, value] : {std::pair("name", &options.name),
                                   {"library", &options.library},
                                   {"on_error", &options.on_error},
                                   {"isolation", &options.isolation},
                                   {"dead_letter", &options.dead_letter},
                                   {"start", &options.start}})
    if (!value->empty()) definition[key] = *value;
  if (options.inputs.size() == 1 && options.inputs[0].find('=') == std::string::npos)
    definition["input"] = options.inputs[0];
  else if (!options.inputs.empty())
    MR_TRY(add_pairs(definition["inputs"], options.inputs, "--input"));
  if (!options.outputs.empty()) MR_TRY(add_pairs(definition["outputs"], options.outputs, "--output"));
  if (!options.config.empty()) MR_TRY(add_pairs(definition["config"], options.config, "--config"));
  MR_TRY(add_pairs(definition, options.others, "--set"));
  // A file here is meant before one in the broker's directory.
  if (definition.contains("library") && definition["library"].is_string()) {
    std::error_code problem;
    const auto library = definition["library"].get<std::string>();
    const bool is_here =
        !library.empty() && library != "bundled" && std::filesystem::exists(library, problem);
    const auto absolute = std::filesystem::absolute(library, problem);
    if (is_here && !problem) definition["library"] = absolute.lexically_normal().string();
  }
  return definition;
}

result<exit_code> run(context& ctx, const deploy_options& options) {
  const auto definition = definition_of(options);
  if (!definition) return fail(definition.error());
  const std::string name = definition->value("name", "");
  if (name.empty())
    return fail(errc::invalid_argument, "the processor needs a name: --name NAME, or in the file");
  const std::string body = definition->dump(-1, ' ', false, json::error_handler_t::replace);
  if (options.replaces && options.is_shadow)
    return fail(errc::invalid_argument, "--replace and --shadow exclude each other");
  const auto answer = options.is_shadow
                          ? ask_broker(options.broker, "POST", "/v1/processors/" + name + "/shadow", body)
                      : options.replaces ? ask_broker(options.broker, "PUT", "/v1/processors/" + name, body)
                                         : ask_broker(options.broker, "POST", "/v1/processors", body);
  if (!answer) return fail(answer.error());
  return tell_deployed(ctx, *answer, options.replaces ? "Replaced" : "Deployed");
}

}  // namespace

void add_processor_deploy(CLI::App& processor, context& ctx) {
  const auto declare = [&](CLI::App& verb, deploy_options& options) {
    verb.add_option("FILE", options.file, "A TOML file with one [[processor]]; flags win over it");
    verb.add_flag("--replace", options.replaces,
                  "Put it in the place of the one of that name, which keeps position and state");
    verb.add_flag("--shadow", options.is_shadow,
                  "Let it run beside the one of that name, from where that stands, into topics of its own;\n"
                  "then `processor diff` compares both, `promote` puts it in the place, `discard` ends it");
    verb.add_option("--name", options.name, "Its name: position and state belong to it");
    verb.add_option("--library", options.library,
                    "The shared object: a path from here, an absolute one, or one in the broker's "
                    "processor.directory")
        ->type_name("PATH");
    const auto add_list = [&](const char* flag, std::vector<std::string>& into, const char* help,
                              const char* type) {
      verb.add_option(flag, into, help)->type_name(type)->type_size(1)->allow_extra_args(false);
    };
    add_list("--input", options.inputs,
             "The topic that it reads; of several inputs each with its name, repeated", "TOPIC|NAME=TOPIC");
    add_list("--output", options.outputs, "A topic that it writes; may be repeated", "NAME=TOPIC");
    add_list("--config", options.config, "An option for the processor; may be repeated", "KEY=VALUE");
    verb.add_option("--on-error", options.on_error, "pause, skip, dead_letter or reject");
    verb.add_option("--isolation", options.isolation, "inline, thread or process");
    verb.add_option("--dead-letter", options.dead_letter, "With --on-error dead_letter")->type_name("TOPIC");
    verb.add_option("--from,--start", options.start,
                    "Where it begins: earliest, latest, an offset or @TIME (default: earliest)")
        ->type_name("WHERE");
    add_list("--set", options.others, "Any other key of a [[processor]] table; may be repeated", "KEY=VALUE");
    add_output_options(verb, ctx);
    add_admin_options(verb, options.broker);
    add_examples(verb,
                 "  millrace processor deploy --name shout --library ./shout.so --input lines --output "
                 "loud=lines.loud\n"
                 "  millrace processor deploy cleaner.toml --data /var/lib/millrace\n"
                 "  millrace processor deploy cleaner.toml --replace --library ./line_cleaner-2.so\n"
                 "  millrace processor deploy cleaner.toml --shadow --library ./line_cleaner-2.so\n"
                 "  millrace processor deploy cleaner.toml --set retries=3 --config columns=id:text");
  };
  add_verb<deploy_options>(processor, ctx, "deploy", "Add a processor to a running broker, or replace one",
                           declare, run);
}

}  // namespace millrace::tools
