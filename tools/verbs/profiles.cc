#include <stdlib.h>
#include <unistd.h>

#include "tools/cli/profile.h"
#include "tools/cli/terminal.h"
#include "tools/text/json.h"
#include "tools/text/table.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct profiles_options {};

void print_json(std::string& text, const profile_file& file) {
  json_writer json(text);
  json.begin_object().member("file", file.path).key("profiles").begin_array();
  for (const profile& p : file.all) {
    json.begin_object().member("name", p.name).member("in_use", p.name == file.in_use).key("bootstrap");
    p.bootstrap ? json.value(*p.bootstrap) : json.null();
    json.end_object();
  }
  json.end_array().end_object();
  text += '\n';
}

result<exit_code> run(context& ctx, const profiles_options&) {
  auto file = read_profiles();
  if (!file) return fail(file.error());
  if (const char* named = ::getenv("MILLRACE_PROFILE"); named != nullptr && *named != '\0')
    file->in_use = named;
  std::string text;
  if (ctx.common.is_json) {
    print_json(text, *file);
  } else if (file->all.empty()) {
    tell(ctx,
         fmt::format("No profiles in {}. It may say:\n\n[profiles.staging]\nbootstrap = \"a.example:9092\"",
                     file->path));
  } else {
    table rows({{"PROFILE"}, {"BOOTSTRAP"}, {""}});
    for (const profile& p : file->all)
      rows.add({p.name, p.bootstrap.value_or("-"), p.name == file->in_use ? "in use" : ""});
    text = rows.render(has_colour(STDOUT_FILENO));
  }
  ctx.out.write(text);
  return exit_code::ok;
}

}  // namespace

void add_profiles(CLI::App& root, context& ctx) {
  const auto declare = [&](CLI::App& verb, profiles_options&) {
    add_output_options(verb, ctx);
    add_examples(verb,
                 "  millrace profiles\n"
                 "  millrace topic list --profile staging\n"
                 "  MILLRACE_PROFILE=staging millrace consume events");
  };
  add_verb<profiles_options>(root, ctx, "profiles",
                             "Show the clusters that have a name in your configuration file", declare, run);
}

}  // namespace millrace::tools
