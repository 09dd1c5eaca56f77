#include <fmt/format.h>
#include <map>
#include <set>
#include <unistd.h>

#include "tools/cli/terminal.h"
#include "tools/kafka/groups.h"
#include "tools/kafka/topics.h"
#include "tools/text/table.h"
#include "tools/verbs/describe.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct describe_options {
  std::vector<std::string> names;
};

// One partition that the group has read of, or is given.
struct progress_row {
  std::optional<int64_t> committed;
  std::optional<int64_t> end;  // nothing: the topic is gone
  const group_member* member = nullptr;
  std::optional<int64_t> lag() const {
    if (!committed || !end) return std::nullopt;
    return std::max<int64_t>(0, *end - *committed);
  }
};

struct description {
  group_description group;
  std::map<topic_partition, progress_row> rows;
  int64_t total_lag() const {
    int64_t lag = 0;
    for (const auto& [_, row] : rows) lag += row.lag().value_or(0);
    return lag;
  }
};

result<description> describe(handle& client, const std::string& name) {
  auto group = describe_group(client, name);
  if (!group) return fail(group.error());
  const auto committed = committed_offsets(client, name);
  if (!committed) return fail(committed.error());
  description d{std::move(*group), {}};
  for (const committed_offset& one : *committed) d.rows[one.where].committed = one.offset;
  for (const group_member& member : d.group.members) {
    for (const topic_partition& where : member.assigned) d.rows[where].member = &member;
  }
  std::set<std::string> topics;
  for (const auto& [where, _] : d.rows) topics.insert(where.topic);
  for (const std::string& name_of_topic : topics) {
    const auto topic = find_topic(client, name_of_topic);
    if (!topic && topic.error().code == errc::unknown_topic_or_partition) continue;
    if (!topic) return fail(topic.error());
    const auto offsets = offsets_of(client, *topic);
    if (!offsets) return fail(offsets.error());
    for (size_t i = 0; i < offsets->size(); ++i) {
      const auto row = d.rows.find({topic->name, topic->partitions[i].id});
      if (row != d.rows.end()) row->second.end = (*offsets)[i].next;
    }
  }
  return d;
}

void add_optional(json_writer& json, std::string_view key, const std::optional<int64_t>& value) {
  json.key(key);
  value ? json.value(*value) : json.null();
}

void add_json(json_writer& json, const description& d) {
  const group_description& g = d.group;
  json.begin_object().member("group", g.id).member("type", g.type).member("state", g.state);
  json.member("assignor", g.assignor).member("coordinator", g.coordinator);
  json.member("coordinator_address", g.coordinator_address).member("lag", d.total_lag());
  json.key("partitions").begin_array();
  for (const auto& [where, row] : d.rows) {
    json.begin_object().member("topic", where.topic).member("partition", where.partition);
    add_optional(json, "committed", row.committed);
    add_optional(json, "next_offset", row.end);
    add_optional(json, "lag", row.lag());
    json.key("member");
    row.member ? json.value(row.member->id) : json.null();
    json.end_object();
  }
  json.end_array().key("members").begin_array();
  for (const group_member& m : g.members) {
    json.begin_object().member("member", m.id).member("client_id", m.client_id).member("host", m.host);
    json.key("instance_id");
    m.instance_id ? json.value(*m.instance_id) : json.null();
    json.key("epoch");
    m.epoch ? json.value(*m.epoch) : json.null();
    json.key("assigned").begin_array();
    for (const topic_partition& where : m.assigned) {
      json.begin_object().member("topic", where.topic).member("partition", where.partition).end_object();
    }
    json.end_array().end_object();
  }
  json.end_array().end_object();
}

// "orders 0,2; events 1"
std::string assignment_text(const std::vector<topic_partition>& assigned) {
  std::string text;
  for (size_t i = 0; i < assigned.size(); ++i) {
    const bool is_same = i > 0 && assigned[i].topic == assigned[i - 1].topic;
    text += is_same ? "," : (i > 0 ? "; " : "") + assigned[i].topic + " ";
    text += std::to_string(assigned[i].partition);
  }
  return text.empty() ? "-" : text;
}

std::string as_text(const description& d) {
  const group_description& g = d.group;
  const bool colour = has_colour(STDOUT_FILENO);
  const auto number = [](const std::optional<int64_t>& n) {
    return n ? std::to_string(*n) : std::string("-");
  };
  std::string text =
      fmt::format("{}: {}, {}{}{}, {} member{}, lag {}, coordinator {} ({})\n",
                  styled(STDOUT_FILENO, style::bold, g.id), g.state, g.type, g.assignor.empty() ? "" : ", ",
                  g.assignor, g.members.size(), g.members.size() == 1 ? "" : "s",
                  with_thousands(static_cast<uint64_t>(d.total_lag())), g.coordinator, g.coordinator_address);
  if (g.hides_members) text += "Its members cannot be shown over this connection.\n";
  using enum table::align;
  if (!d.rows.empty()) {
    table rows({{"TOPIC"},
                {"PARTITION", right},
                {"COMMITTED", right},
                {"NEXT OFFSET", right},
                {"LAG", right},
                {"CLIENT"}});
    for (const auto& [where, row] : d.rows) {
      rows.add({where.topic, std::to_string(where.partition), number(row.committed), number(row.end),
                number(row.lag()), row.member ? row.member->client_id : "-"});
    }
    text += rows.render(colour);
  }
  if (g.members.empty()) return text;
  table members({{"MEMBER"}, {"CLIENT"}, {"HOST"}, {"INSTANCE"}, {"PARTITIONS"}});
  for (const group_member& m : g.members) {
    members.add({m.id, m.client_id, m.host, m.instance_id.value_or("-"), assignment_text(m.assigned)});
  }
  return text + members.render(colour);
}

result<exit_code> run(context& ctx, const describe_options& options) {
  return describe_each(ctx, options.names, describe, add_json, as_text);
}

}  // namespace

void add_group_describe(CLI::App& group, context& ctx) {
  const auto declare = [&](CLI::App& verb, describe_options& options) {
    verb.add_option("GROUP", options.names, "Names of the groups")->required();
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(verb,
                 "  millrace group describe billing\n"
                 "  millrace group describe billing --json | jq '.[0].lag'");
  };
  add_verb<describe_options>(group, ctx, "describe", "Show members, offsets and how far behind they are",
                             declare, run);
}

}  // namespace millrace::tools
