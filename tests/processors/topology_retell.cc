// The part of life that is told everything at once, in batches of its own choice.
#include <algorithm>
#include <span>

#include "tests/processors/topology_life.h"

namespace millrace::processors::kit {

using runtime::call_on;

void life::hold_some() {
  for (const deployed_ptr& p : deployment(deployed_).processors())
    if (p->spec.stage_of.empty() && (has_several_inputs(p->spec) || random_.below(2) == 0))
      deployed_ = deployed_.changed(p->spec.name, [](deployed_processor& stage) { stage.is_held = true; });
}

task<void> life::tell_on(shard_id shard, std::string topic, int32_t partition,
                         std::vector<seen_record> records, uint64_t seed) {
  prng random(seed);
  storage::shard_store& store = *stores_[shard.value()];
  const bool is_large = random.below(4) == 0;
  for (size_t at = 0; at < records.size();) {
    const auto admitted = co_await store.admit(1000);
    if (!admitted) co_return;
    const size_t count =
        std::min(records.size() - at, 1 + static_cast<size_t>(random.below(is_large ? 3000 : 60)));
    const protocol::checked_batch batch = sent_batch(std::span(records).subspan(at, count), random);
    const auto done =
        store.append(*store.find(id_of(topic, partition)), batch, storage::append_origin::client);
    if (!done) co_return;
    at += count;
    if (random.below(3) == 0) continue;  // more batches in the same frame
    const auto durable = co_await store.wait_durable(done->durable_at);
    if (!durable) co_return;
  }
}

task<std::string> life::retell(const told_records& records, contents& there) {
  hold_some();
  const bool is_open = co_await open();
  if (is_open) {
    for (const auto& [where, told] : records) {
      const shard_id owner = owner_of(where.first, where.second);
      const uint64_t seed = random_.next();
      auto done = call_on(owner, [&, this] { return tell_on(owner, where.first, where.second, told, seed); });
      co_await done;
    }
    co_await wait_until_quiet();
    for (const deployed_ptr& p : deployment(deployed_).processors()) {
      if (!p->is_held) continue;
      const std::string whole = whole_name(p->spec);
      deployed_ = deployed_.changed(whole, [](deployed_processor& stage) { stage.is_held = false; });
      co_await adopt_everywhere();
      co_await wait_until_quiet();
    }
    fail_for_paused();
    if (!is_over()) co_await check();
    if (!is_over()) co_await collect(there);
  }
  co_await close();
  co_return problem_;
}

task<void> life::collect(contents& there) {
  const settled_topics settled = settled_by_sources(outside_.what);
  for (const std::string& topic : outside_.what.topics()) {
    const bool is_changelog = settled.changelogs.contains(topic);
    if (!is_changelog && !settled.beside.contains(topic) && !settled.sent.contains(topic)) continue;
    for (int32_t p = 0; p < outside_.what.partitions.at(topic); ++p) {
      const uint32_t shard = owner_of(topic, p).value();
      auto done =
          call_on(shard_id(shard), [&, this] { return collect_on(shard, topic, p, is_changelog, there); });
      co_await done;
    }
  }
  for (auto& [partition, records] : there) {
    if (!settled.sent.contains(partition.substr(0, partition.rfind('-')))) continue;
    std::map<std::string, std::vector<seen_record>> by_sender;
    for (seen_record& r : records) by_sender[r.headers].push_back(std::move(r));
    records.clear();
    for (const auto& [sender, its] : by_sender) records.insert(records.end(), its.begin(), its.end());
  }
}

task<void> life::collect_on(uint32_t shard, std::string topic, int32_t partition, bool is_changelog,
                            contents& there) {
  const auto id = id_of(topic, partition);
  std::vector<seen_record> found;
  if (is_changelog) {
    const auto entries = co_await fold(*stores_[shard], id);
    for (const auto& [key, value] : entries) found.push_back({key, value, 0, {}});
  } else {
    found = co_await read_records(*stores_[shard], id);
  }
  there[fmt::format("{}-{}", topic, partition)] = std::move(found);
}

}  // namespace millrace::processors::kit
