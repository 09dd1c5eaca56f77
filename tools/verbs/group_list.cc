#include <algorithm>
#include <strings.h>
#include <unistd.h>

#include "tools/cli/terminal.h"
#include "tools/kafka/groups.h"
#include "tools/text/json.h"
#include "tools/text/table.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct list_options {
  std::vector<std::string> states;
  std::vector<std::string> types;
};

bool is_among(const std::string& one, const std::vector<std::string>& wanted) {
  return wanted.empty() || std::ranges::any_of(wanted, [&](const std::string& w) {
           return strcasecmp(w.c_str(), one.c_str()) == 0;
         });
}

std::string as_json(const std::vector<group_listing>& groups) {
  std::string text;
  json_writer json(text);
  json.begin_array();
  for (const group_listing& group : groups) {
    json.begin_object().member("group", group.id).key("type");
    group.type.empty() ? json.null() : json.value(group.type);
    json.member("state", group.state).member("protocol_type", group.protocol_type).end_object();
  }
  json.end_array();
  return text + "\n";
}

std::string as_table(const std::vector<group_listing>& groups) {
  table rows({{"GROUP"}, {"TYPE"}, {"STATE"}, {"PROTOCOL"}});
  for (const group_listing& group : groups) {
    rows.add({group.id, group.type.empty() ? "?" : group.type, group.state,
              group.protocol_type.empty() ? "offsets only" : group.protocol_type});
  }
  return rows.render(has_colour(STDOUT_FILENO));
}

result<exit_code> run(context& ctx, const list_options& options) {
  const auto client = handle::open(RD_KAFKA_CONSUMER, ctx.common.to, {});
  if (!client) return fail(client.error());
  auto groups = list_groups(**client);
  if (!groups) return fail(groups.error());
  std::erase_if(*groups, [&](const group_listing& group) {
    return !is_among(group.state, options.states) || !is_among(group.type, options.types);
  });
  if (groups->empty() && !ctx.common.is_json) {
    const bool is_filtered = !options.states.empty() || !options.types.empty();
    tell(ctx,
         is_filtered ? "No such groups." : "No groups yet; `millrace consume TOPIC --group NAME` makes one.");
    return exit_code::ok;
  }
  ctx.out.write(ctx.common.is_json ? as_json(*groups) : as_table(*groups));
  return exit_code::ok;
}

}  // namespace

void add_group_list(CLI::App& group, context& ctx) {
  const auto declare = [&](CLI::App& verb, list_options& options) {
    verb.alias("ls");
    verb.add_option("--state", options.states,
                    "Only groups in this state (Stable, Empty, ...); may be repeated")
        ->allow_extra_args(false);
    verb.add_option("--type", options.types,
                    "Only groups of this type (classic, consumer, ...); may be repeated")
        ->allow_extra_args(false);
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(verb,
                 "  millrace group list\n"
                 "  millrace group list --state Empty\n"
                 "  millrace group list --json | jq -r '.[].group'");
  };
  add_verb<list_options>(group, ctx, "list", "Show all groups", declare, run);
}

}  // namespace millrace::tools
