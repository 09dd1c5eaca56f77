// The part of life that compares what is there with what is implied.
#include <algorithm>
#include <span>

#include "tests/processors/topology_life.h"

namespace millrace::processors::kit {

using runtime::call_on;

task<void> life::check() {
  sent_.clear();
  for (const std::string& root : outside_.what.roots)
    for (int32_t p = 0; p < outside_.what.partitions.at(root) && !is_over(); ++p) {
      if (!is_first_of_flow(root)) continue;
      const shard_id owner = owner_of(root, p);
      auto done = call_on(owner, [this, owner, p, root] { return check_partition(owner.value(), p, root); });
      co_await done;
    }
  for (const std::string& root : outside_.what.roots)
    for (int32_t p = 0; p < outside_.what.partitions.at(root) && !is_over(); ++p) {
      if (outside_.what.is_source(root)) continue;
      const shard_id owner = owner_of(root, p);
      auto done = call_on(owner, [this, owner, p, root] { return check_sent(owner.value(), p, root); });
      co_await done;
    }
  for (uint32_t shard = 0; shard < shards_ && !is_over(); ++shard) {
    auto done = call_on(shard_id(shard), [this, shard] { return check_shadow(shard); });
    co_await done;
  }
  for (uint32_t shard = 0; shard < shards_; ++shard)
    for (const flow_status& s : hosts_[shard]->status()) {
      if (const deployed_ptr p = deployed_.find(s.processor))
        outside_.sum.records_in[p->code->name()] += s.counters.records_in;
      outside_.sum.derived += s.counters.records_out;
      outside_.sum.restored += s.counters.records_restored;
      outside_.sum.snapshots += s.counters.snapshots;
      outside_.sum.apart += s.counters.apart_calls;
    }
}

// From where they began, shadows have derived what their processors have, and keep the same state.
task<void> life::check_shadow(uint32_t shard) {
  storage::shard_store& store = *stores_[shard];
  for (const flow_status& s : hosts_[shard]->status())
    for (const compared_output& c : s.compared) {
      const auto live = co_await read_records(store, id_of(c.live_topic, s.partition));
      const auto derived = co_await read_records(store, id_of(c.shadow_topic, s.partition));
      const auto from = static_cast<size_t>(c.live_from);
      if (live.size() < from || !std::ranges::equal(std::span(live).subspan(from), derived))
        fail_with(fmt::format("{}-{} from offset {} on is not what its shadow has, {} records", c.live_topic,
                              s.partition, from, derived.size()));
      outside_.sum.compared += derived.size();
    }
  for (const deployed_ptr& p : deployment(deployed_).processors()) {
    const deployed_ptr live = p->spec.is_shadow ? deployed_.find(p->spec.stands_for) : nullptr;
    if (!live || live->code != p->code || !p->code->is_stateful()) continue;
    for (int32_t partition = 0; partition < outside_.what.partitions.at(p->spec.input); ++partition) {
      if (owner_of(p->spec.input, partition).value() != shard) continue;
      for (size_t i = 0; i < p->code->stores().size(); ++i) {
        const auto theirs = co_await fold(store, id_of(live->spec.changelogs[i], partition));
        const auto its_own = co_await fold(store, id_of(p->spec.changelogs[i], partition));
        if (theirs != its_own)
          fail_with(fmt::format("{}-{} folds up to {} entries that are not the {} of its shadow",
                                live->spec.changelogs[i], partition, theirs.size(), its_own.size()));
      }
    }
  }
}

// What others sent to a partition: from each of them all of it, once, and in order.
task<void> life::check_sent(uint32_t shard, int32_t partition, std::string topic) {
  std::map<std::string, std::vector<seen_record>> by_sender;
  for (seen_record& r : co_await read_records(*stores_[shard], id_of(topic, partition)))
    by_sender[r.headers].push_back(std::move(r));
  const auto& expected = sent_[{topic, partition}];
  outside_.sum.sent += by_sender.size();
  for (const auto& [sender, records] : by_sender)
    if (!expected.contains(sender))
      fail_with(fmt::format("{}-{}: from nobody: {}", topic, partition, sender));
  for (const auto& [sender, records] : expected) {
    const std::vector<seen_record>& there = by_sender[sender];
    size_t at = 0;
    while (at < there.size() && at < records.size() && there[at] == records[at]) ++at;
    if (at < there.size() || at < records.size())
      fail_with(fmt::format("{}-{} has {} records from {}, {} are implied, the first difference is at {}",
                            topic, partition, there.size(), sender, records.size(), at));
  }
}

// Processors with several inputs bring topics together that otherwise have nothing to do with each other.
bool life::is_first_of_flow(const std::string& root) const {
  const std::string flow = flow_of(outside_.what.all_specs, root);
  for (const std::string& other : outside_.what.roots) {
    if (other == root) return true;
    if (flow_of(outside_.what.all_specs, other) == flow) return false;
  }
  return true;
}

// As it has written it down.
task<std::vector<taken_run>> life::order_of(uint32_t shard, int32_t partition, std::string processor) {
  std::vector<taken_run> order;
  for (const seen_record& r :
       co_await read_records(*stores_[shard], id_of(order_topic(processor), partition))) {
    const size_t space = r.value.find(' ');
    if (!order.empty() && order.back().input != r.key) ++outside_.sum.turns;
    order.push_back({r.key, std::stoll(r.value), std::stoll(r.value.substr(space))});
  }
  co_return order;
}

// All that follows from one partition of the sources of one flow, and of the topics in it that others send
// to, as it is there. (Other roots are empty in this picture: what follows from them is in other topics.)
task<void> life::check_partition(uint32_t shard, int32_t partition, std::string first) {
  storage::shard_store& store = *stores_[shard];
  const std::string flow = flow_of(outside_.what.all_specs, first);
  std::vector<std::string> roots;
  for (const std::string& root : outside_.what.roots)
    if (flow_of(outside_.what.all_specs, root) == flow) roots.push_back(root);
  std::map<std::string, std::vector<seen_record>> input;
  for (const std::string& source : roots) {
    input[source] = co_await read_records(store, id_of(source, partition));
    for (const auto& [at, value] : outside_.acked[{source, partition}])
      if (at >= static_cast<int64_t>(input[source].size()) ||
          input[source][static_cast<size_t>(at)].value != value) {
        fail_with(fmt::format("{}-{}: offset {} was acknowledged and is not there", source, partition, at));
        co_return;
      }
  }
  std::map<std::string, std::vector<taken_run>> orders;
  for (const processor_spec& spec : outside_.what.deployed->specs())
    if (has_several_inputs(spec) && flow_of(outside_.what.all_specs, spec.input) == flow)
      orders[spec.name] = co_await order_of(shard, partition, spec.name);
  const implied expected = failure_free(outside_.what, std::move(input), orders, partition, random_.next());
  outside_.sum.modelled += expected.modelled;
  if (!expected.problem.empty()) {
    fail_with(fmt::format("partition {}: {}", partition, expected.problem));
    co_return;
  }
  for (const auto& [topic, by_partition] : expected.sent)
    for (const auto& [target, records] : by_partition)
      for (const seen_record& r : records) sent_[{topic, target}][r.headers].push_back(r);
  const std::vector<std::string> derived = derived_beside(outside_.what, roots);
  for (const std::string& topic : derived) {
    const auto id = id_of(topic, partition);
    if (const auto store_content = expected.stores.find(topic); store_content != expected.stores.end()) {
      const auto folded = co_await fold(store, id);
      if (folded != store_content->second)
        fail_with(fmt::format("{}-{} folds up to {} entries that are not the {} implied", topic, partition,
                              folded.size(), store_content->second.size()));
      continue;
    }
    const auto records = expected.records.find(topic);
    if (records == expected.records.end()) continue;  // the broker's own state
    const std::vector<seen_record> there = co_await read_records(store, id);
    if (there == records->second) continue;
    size_t at = 0;
    while (at < there.size() && at < records->second.size() && there[at] == records->second[at]) ++at;
    fail_with(fmt::format("{}-{} has {} records, {} are implied, the first difference is at {}", topic,
                          partition, there.size(), records->second.size(), at));
  }
}

}  // namespace millrace::processors::kit
