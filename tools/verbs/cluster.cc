#include "tools/kafka/cluster.h"

#include <unistd.h>

#include "tools/cli/terminal.h"
#include "tools/text/json.h"
#include "tools/text/table.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct cluster_options {};

std::string as_json(const cluster_info& cluster) {
  std::string text;
  json_writer json(text);
  json.begin_object().member("id", cluster.id).member("controller", cluster.controller);
  json.key("brokers").begin_array();
  for (const broker_address& b : cluster.brokers) {
    json.begin_object().member("id", b.id).member("host", b.host).member("port", b.port).end_object();
  }
  json.end_array().key("features");
  if (!cluster.features) {
    json.null();
  } else {
    json.begin_array();
    for (const feature_levels& f : *cluster.features) {
      json.begin_object().member("name", f.name).member("in_force", f.finalized);
      json.member("lowest", f.min).member("highest", f.max).end_object();
    }
    json.end_array();
  }
  json.end_object();
  return text + "\n";
}

std::string as_text(const cluster_info& cluster) {
  const bool is_bold = has_colour(STDOUT_FILENO);
  std::string text = fmt::format("Cluster {}\n\n", cluster.id);
  table brokers({{"BROKER", table::align::right}, {"ADDRESS"}, {"ROLE"}});
  for (const broker_address& b : cluster.brokers) {
    brokers.add({std::to_string(b.id), fmt::format("{}:{}", b.host, b.port),
                 b.id == cluster.controller ? "controller" : ""});
  }
  text += brokers.render(is_bold);
  if (!cluster.features || cluster.features->empty()) return text;
  table features({{"FEATURE"}, {"IN FORCE", table::align::right}, {"SUPPORTED"}});
  for (const feature_levels& f : *cluster.features)
    features.add({f.name, std::to_string(f.finalized), fmt::format("{} to {}", f.min, f.max)});
  return text + "\n" + features.render(is_bold);
}

result<exit_code> run(context& ctx, const cluster_options&) {
  const auto client = handle::open(RD_KAFKA_CONSUMER, ctx.common.to, {});
  if (!client) return fail(client.error());
  const auto cluster = describe_cluster(**client);
  if (!cluster) return fail(cluster.error());
  ctx.out.write(ctx.common.is_json ? as_json(*cluster) : as_text(*cluster));
  return exit_code::ok;
}

}  // namespace

void add_cluster(CLI::App& root, context& ctx) {
  const auto declare = [&](CLI::App& verb, cluster_options&) {
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(verb,
                 "  millrace cluster\n"
                 "  millrace cluster --json | jq -r .id");
  };
  add_verb<cluster_options>(root, ctx, "cluster", "Show the cluster: its id, brokers and features", declare,
                            run);
}

}  // namespace millrace::tools
