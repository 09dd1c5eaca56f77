#include "tools/top/watcher.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/cli/interrupt.h"
#include "tools/kafka/brokers.h"
#include "tools/kafka/topics.h"

namespace millrace::tools {

namespace {

using nlohmann::json;
using clock = std::chrono::steady_clock;

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Members of another type than expected are the library's exceptions.
own_reading own_of(const json& shards, const json& processors) {
  own_reading own;
  for (const json& s : shards.at("shards"))
    own.shards.push_back({.shard = s.at("shard").get<uint32_t>(),
                          .partitions = s.at("partitions").get<uint64_t>(),
                          .cpu_seconds = s.at("cpu_seconds").get<double>(),
                          .commits = s.at("commits").get<uint64_t>(),
                          .appended_bytes = s.at("appended_bytes").get<uint64_t>(),
                          .cached_bytes = s.at("cached_bytes").get<uint64_t>()});
  for (const json& p : processors.at("processors"))
    own.processors.push_back({.name = p.at("name").get<std::string>(),
                              .state = p.at("state").get<std::string>(),
                              .input = p.value("input", ""),
                              .lag = p.value("lag", int64_t{0}),
                              .records_in = p.value("records_in", uint64_t{0}),
                              .records_out = p.value("records_out", uint64_t{0})});
  return own;
}

}  // namespace

result<std::unique_ptr<watcher>> watcher::open(settings s) {
  s.admin.timeout_seconds = std::min(s.to.timeout_seconds, 5);
  std::unique_ptr<watcher> self(new watcher(std::move(s)));
  auto client = handle::open(RD_KAFKA_CONSUMER, self->settings_.to, {});
  if (!client) return fail(client.error());
  self->client_ = *std::move(client);
  MR_TRY(self->client_->reach());
  if (char* id = rd_kafka_clusterid(self->client_->get(), self->client_->timeout_ms()); id != nullptr) {
    self->cluster_id_ = id;
    rd_kafka_mem_free(self->client_->get(), id);
  }
  return self;
}

result<reading> watcher::read() {
  const auto brokers = broker_addresses(*client_);
  if (!brokers) return fail(brokers.error());
  auto topics = list_topics(*client_);
  if (!topics) return fail(topics.error());
  if (!settings_.with_internal)
    std::erase_if(*topics, [](const topic_info& topic) { return topic.is_internal(); });
  const auto ends = ends_of(*client_, *topics);
  if (!ends) return fail(ends.error());
  reading seen{
      .at = clock::now(), .time_ms = now_ms(), .cluster_id = cluster_id_, .brokers = brokers->size()};
  for (size_t t = 0; t < topics->size(); ++t) {
    auto& of_topic = seen.ends[(*topics)[t].name];
    for (size_t p = 0; p < (*ends)[t].size(); ++p)
      if ((*ends)[t][p]) of_topic[(*topics)[t].partitions[p].id] = *(*ends)[t][p];
  }
  seen.own = read_own();
  MR_TRY(read_groups());
  seen.groups = groups_;
  return seen;
}

result<void> watcher::read_groups() {
  const auto all = list_groups(*client_);
  if (!all) return fail(all.error());
  std::map<std::string, group_reading> known;
  std::vector<std::pair<moment, std::string>> turns;
  for (const group_listing& group : *all) {
    group_reading& one = known[group.id];
    if (const auto before = groups_.find(group.id); before != groups_.end()) one = before->second;
    one.state = group.state;
    turns.emplace_back(one.at, group.id);
  }
  groups_ = std::move(known);
  std::ranges::sort(turns);
  const auto until = clock::now() + settings_.group_patience;
  for (const auto& [_, name] : turns) {
    const auto committed = committed_offsets(*client_, name);
    if (!committed) {
      groups_.erase(name);  // it has just gone, or its coordinator has: it comes back with the next reading
    } else {
      group_reading& one = groups_[name];
      one.at = clock::now();
      one.committed.clear();
      for (const committed_offset& c : *committed) one.committed[c.where] = c.offset;
    }
    if (clock::now() > until || interrupted()) break;
  }
  return {};
}

std::optional<own_reading> watcher::read_own() const {
  const auto shards = ask_broker(settings_.admin, "GET", "/v1/shards");
  if (!shards) return std::nullopt;
  const auto processors = ask_broker(settings_.admin, "GET", "/v1/processors");
  if (!processors) return std::nullopt;
  try {
    const json told = json::parse(*shards);
    // The broker on this machine may be another one than the cluster that is watched.
    if (told.at("cluster_id").get<std::string>() != cluster_id_) return std::nullopt;
    return own_of(told, json::parse(*processors));
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

}  // namespace millrace::tools
