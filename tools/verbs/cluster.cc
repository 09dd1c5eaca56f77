#include "tools/kafka/cluster.h"

#include <fmt/ranges.h>
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

result<exit_code> run_info(context& ctx, const cluster_options&) {
  const auto client = handle::open(RD_KAFKA_CONSUMER, ctx.common.to, {});
  if (!client) return fail(client.error());
  const auto cluster = describe_cluster(**client);
  if (!cluster) return fail(cluster.error());
  ctx.out.write(ctx.common.is_json ? as_json(*cluster) : as_text(*cluster));
  return exit_code::ok;
}

struct health {
  size_t brokers = 0;
  size_t topics = 0;
  size_t partitions = 0;
  std::vector<ailing_partition> ailing;
};

std::string as_json(const health& h) {
  std::string text;
  json_writer json(text);
  json.begin_object().member("healthy", h.ailing.empty()).member("brokers", h.brokers);
  json.member("topics", h.topics).member("partitions", h.partitions).key("ailing").begin_array();
  for (const ailing_partition& one : h.ailing) {
    json.begin_object().member("what", name_of(one.what)).member("topic", one.topic);
    json.member("partition", one.partition).key("missing").begin_array();
    for (const int32_t broker : one.missing) json.value(broker);
    json.end_array().end_object();
  }
  json.end_array().end_object();
  return text + "\n";
}

std::string as_text(const health& h) {
  const auto counted = [](size_t n, std::string_view what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
  };
  const std::string all = fmt::format("{}, {}, {}", counted(h.brokers, "broker"), counted(h.topics, "topic"),
                                      counted(h.partitions, "partition"));
  if (h.ailing.empty()) return fmt::format("{}: {}\n", styled(STDOUT_FILENO, style::green, "Healthy"), all);
  std::string text = fmt::format("{}: {}\n", styled(STDOUT_FILENO, style::red, "Not healthy"), all);
  for (const ailing_partition& one : h.ailing) {
    text += fmt::format("  {} [{}] ", one.topic, one.partition);
    text += one.what == ailment::no_leader
                ? "has no leader: nobody can read or write it\n"
                : fmt::format("is under-replicated: no copy in sync on broker {}\n",
                              fmt::join(one.missing, ", "));
  }
  return text;
}

result<exit_code> run_health(context& ctx, const cluster_options&) {
  const auto client = handle::open(RD_KAFKA_CONSUMER, ctx.common.to, {});
  if (!client) return fail(client.error());
  const auto cluster = describe_cluster(**client);
  if (!cluster) return fail(cluster.error());
  const auto topics = list_topics(**client);
  if (!topics) return fail(topics.error());
  health h{.brokers = cluster->brokers.size(), .topics = topics->size(), .ailing = ailing_among(*topics)};
  for (const topic_info& topic : *topics) h.partitions += topic.partitions.size();
  ctx.out.write(ctx.common.is_json ? as_json(h) : as_text(h));
  return h.ailing.empty() ? exit_code::ok : exit_code::failure;
}

}  // namespace

// `millrace cluster` alone is `millrace cluster info`.
void add_cluster(CLI::App& root, context& ctx) {
  const auto with = [&ctx](std::string examples) {
    return [&ctx, examples = std::move(examples)](CLI::App& verb, cluster_options&) {
      add_output_options(verb, ctx);
      add_connection_options(verb, ctx);
      add_examples(verb, examples);
    };
  };
  CLI::App* cluster = add_verb<cluster_options>(
      root, ctx, "cluster", "Show the cluster: its id, brokers and features, and whether it is well",
      with("  millrace cluster\n"
           "  millrace cluster health"),
      run_info);
  cluster->callback([cluster, &ctx] {
    if (cluster->get_subcommands().empty()) ctx.action = [](context& c) { return run_info(c, {}); };
  });
  add_verb<cluster_options>(*cluster, ctx, "info", "Show its id, its brokers and the features in force",
                            with("  millrace cluster info\n"
                                 "  millrace cluster info --json | jq -r .id"),
                            run_info);
  add_verb<cluster_options>(*cluster, ctx, "health",
                            "Say whether every partition has a leader and all its copies; exit code 1 if not",
                            with("  millrace cluster health\n"
                                 "  millrace cluster health --json | jq -r '.ailing[].topic'"),
                            run_health);
}

}  // namespace millrace::tools
