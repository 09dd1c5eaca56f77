#include <fmt/format.h>
#include <unistd.h>

#include "tools/cli/terminal.h"
#include "tools/kafka/topics.h"
#include "tools/text/table.h"
#include "tools/verbs/describe.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct describe_options {
  std::vector<std::string> names;
  bool with_all_configs = false;
};

struct description {
  topic_info topic;
  std::vector<offset_range> offsets;
  std::vector<config_entry> configs;
};

// What weakens the promise of an acknowledgement is shown always, changed or not.
bool is_shown(const config_entry& entry, bool with_all) {
  return with_all || entry.source == "topic" || entry.name == "durability";
}

result<description> describe(handle& client, const std::string& name, bool with_all_configs) {
  auto topic = find_topic(client, name);
  if (!topic) return fail(topic.error());
  auto offsets = offsets_of(client, *topic);
  if (!offsets) return fail(offsets.error());
  auto configs = configs_of(client, name);
  if (!configs) return fail(configs.error());
  std::erase_if(*configs, [&](const config_entry& entry) { return !is_shown(entry, with_all_configs); });
  return description{std::move(*topic), std::move(*offsets), std::move(*configs)};
}

void add_json(json_writer& json, const description& d) {
  json.begin_object();
  json.member("name", d.topic.name).member("internal", d.topic.is_internal());
  json.member("replication_factor", d.topic.replication_factor());
  json.key("partitions").begin_array();
  for (size_t i = 0; i < d.topic.partitions.size(); ++i) {
    const partition_info& partition = d.topic.partitions[i];
    json.begin_object().member("partition", partition.id).member("leader", partition.leader);
    for (const auto& [title, nodes] :
         {std::pair("replicas", &partition.replicas), {"in_sync", &partition.in_sync}}) {
      json.key(title).begin_array();
      for (const int32_t node : *nodes) json.value(node);
      json.end_array();
    }
    json.member("first_offset", d.offsets[i].first).member("next_offset", d.offsets[i].next).end_object();
  }
  json.end_array();
  json.key("configs").begin_array();
  for (const config_entry& entry : d.configs) {
    json.begin_object().member("name", entry.name).key("value");
    entry.value ? json.value(*entry.value) : json.null();
    json.member("source", entry.source).end_object();
  }
  json.end_array().end_object();
}

std::string as_text(const description& d) {
  const bool colour = has_colour(STDOUT_FILENO);
  uint64_t records = 0;
  for (const offset_range& range : d.offsets) records += static_cast<uint64_t>(range.count());
  std::string text = fmt::format("{}: {} partition{}, {} cop{}, {} offsets in use\n",
                                 styled(STDOUT_FILENO, style::bold, d.topic.name), d.topic.partitions.size(),
                                 d.topic.partitions.size() == 1 ? "" : "s", d.topic.replication_factor(),
                                 d.topic.replication_factor() == 1 ? "y" : "ies", with_thousands(records));
  using enum table::align;
  table rows({{"PARTITION", right},
              {"LEADER", right},
              {"REPLICAS"},
              {"IN SYNC"},
              {"FIRST OFFSET", right},
              {"NEXT OFFSET", right}});
  for (size_t i = 0; i < d.topic.partitions.size(); ++i) {
    const partition_info& p = d.topic.partitions[i];
    rows.add({std::to_string(p.id), p.leader < 0 ? "none" : std::to_string(p.leader),
              fmt::format("{}", fmt::join(p.replicas, ",")), fmt::format("{}", fmt::join(p.in_sync, ",")),
              std::to_string(d.offsets[i].first), std::to_string(d.offsets[i].next)});
  }
  text += rows.render(colour);
  if (d.configs.empty()) return text;
  table configs({{"SETTING"}, {"VALUE"}, {"SET BY"}});
  for (const config_entry& entry : d.configs)
    configs.add({entry.name, entry.value.value_or("(hidden)"), entry.source});
  return text + configs.render(colour);
}

result<exit_code> run(context& ctx, const describe_options& options) {
  const auto read = [&](handle& client, const std::string& name) {
    return describe(client, name, options.with_all_configs);
  };
  return describe_each(ctx, options.names, read, add_json, as_text);
}

}  // namespace

void add_topic_describe(CLI::App& topic, context& ctx) {
  const auto declare = [&](CLI::App& verb, describe_options& options) {
    verb.add_option("TOPIC", options.names, "Names of the topics")->required();
    verb.add_flag("-a,--all", options.with_all_configs,
                  "Show every setting, not only those set on the topic");
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(verb,
                 "  millrace topic describe events\n"
                 "  millrace topic describe events --all\n"
                 "  millrace topic describe events --json | jq '.[0].partitions[].next_offset'");
  };
  add_verb<describe_options>(topic, ctx, "describe", "Show partitions, offsets and settings", declare, run);
}

}  // namespace millrace::tools
