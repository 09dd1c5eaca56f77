// describe: what verbs that show several named things have in common.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tools/cli/verb.h"
#include "tools/text/json.h"

namespace millrace::tools {

// Asks for each of `names` with read(client, name) and prints what it gives: text with a blank line in
// between, or with --json one array. The first that cannot be read ends it, and nothing is printed.
template <class Read, class AddJson, class AsText>
result<exit_code> describe_each(context& ctx, const std::vector<std::string>& names, Read read,
                                AddJson add_json, AsText as_text) {
  const auto client = handle::open(RD_KAFKA_CONSUMER, ctx.common.to, {});
  if (!client) return fail(client.error());
  std::string text;
  json_writer json(text);
  if (ctx.common.is_json) json.begin_array();
  for (const std::string& name : names) {
    const auto described = read(**client, name);
    if (!described) return fail(described.error());
    if (ctx.common.is_json) {
      add_json(json, *described);
    } else {
      text += (text.empty() ? "" : "\n") + as_text(*described);
    }
  }
  if (ctx.common.is_json) {
    json.end_array();
    text += '\n';
  }
  ctx.out.write(text);
  return exit_code::ok;
}

}  // namespace millrace::tools
