// topology_life: one life of a broker with a random topology of processors, on as many shards as may be: it
// recovers what there is, is given records, has its processors replaced, held and let go, and compares what
// every topic holds and every changelog folds up to with a failure-free run's result over the input that is
// there.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/shards.h"
#include "storage/data_dir.h"
#include "tests/processors/failure_free.h"

namespace millrace::processors::kit {

// What happened, in many runs.
struct totals {
  uint64_t crashes = 0;
  uint64_t derived = 0;
  uint64_t restored = 0;
  uint64_t snapshots = 0;
  uint64_t changes = 0;
  uint64_t migrations = 0;
  uint64_t replays = 0;
  uint64_t shadows = 0;
  uint64_t compared = 0;                       // records of shadows
  uint64_t sent = 0;                           // partitions of senders seen at targets
  uint64_t apart = 0;                          // calls that did not run on their shard
  uint64_t turns = 0;                          // of inputs of processors with several
  uint64_t modelled = 0;                       // records that models expect as well
  std::map<std::string, uint64_t> records_in;  // by the name of the processors' code
};

// What outlives a life: what clients were told.
struct outside {
  topology what;
  totals& sum;
  // By source and partition: value acknowledged, by offset.
  std::map<std::pair<std::string, int32_t>, std::map<int64_t, std::string>> acked;
  int64_t next_number = 1;
  int lives = 0;
};

// What clients send: by source and partition.
using told_records = std::map<std::pair<std::string, int32_t>, std::vector<seen_record>>;
// What partitions hold, and changelogs fold up to, by their names.
using contents = std::map<std::string, std::vector<seen_record>>;

// So many records of a client's; time goes on with their numbers, from `next_number` on, with some disorder.
std::vector<seen_record> next_records(prng& random, int64_t& next_number, uint64_t count);
// A client's batch of them, compressed in some way.
protocol::checked_batch sent_batch(std::span<const seen_record> records, prng& random);

class life final : private neighbours {
 public:
  life(outside& o, runtime::sim_disk& disk, uint32_t shards, uint64_t seed)
      : outside_(o),
        disk_(disk),
        shards_(shards),
        random_(seed),
        deployed_(*o.what.deployed),
        stores_(shards),
        hosts_(shards) {}

  // Recovers what there is, checks it, produces so many batches while processors come, go and change, and
  // checks again. What went wrong; empty if nothing, or if the disk is gone.
  task<std::string> run(int batches);
  // On an empty disk: produces these records, in batches of random length, while some processors run and
  // others wait, among them all with several inputs, until everything before them is there. Then checks, and
  // fills `there` with what settled_by_sources() names.
  task<std::string> retell(const told_records& records, contents& there);

 private:
  task<bool> open();
  task<void> open_shard(uint32_t shard);
  task<void> produce(int batches);
  task<void> produce_on(shard_id shard, std::string topic, int32_t partition, uint64_t seed);
  task<void> tell_on(shard_id shard, std::string topic, int32_t partition, std::vector<seen_record> records,
                     uint64_t seed);
  void hold_some();
  task<void> wait_until_quiet();
  void fail_for_paused();
  task<void> settle_all();
  bool may_migrate(const deployed_processor& p) const;
  deployed_processor migrated(const deployed_processor& p);
  task<void> migrate_one();
  task<void> change_something();
  task<void> begin_replay();
  task<void> turn_shadow();
  task<void> adopt_everywhere();
  task<void> check();
  task<void> check_partition(uint32_t shard, int32_t partition, std::string root);
  task<std::vector<taken_run>> order_of(uint32_t shard, int32_t partition, std::string processor);
  bool is_first_of_flow(const std::string& root) const;
  task<void> check_shadow(uint32_t shard);
  task<void> check_sent(uint32_t shard, int32_t partition, std::string topic);
  task<bool> is_settled();
  task<void> collect(contents& there);
  task<void> collect_on(uint32_t shard, std::string topic, int32_t partition, bool is_changelog,
                        contents& there);
  task<void> close();
  task<void> close_shard(uint32_t shard);
  void fail_with(std::string why) {
    if (problem_.empty() && !disk_.has_crashed()) problem_ = std::move(why);
  }
  bool is_over() const { return !problem_.empty() || disk_.has_crashed(); }
  // neighbours
  std::optional<output_topic> find(const std::string& topic) const override {
    const auto found = outside_.what.partitions.find(topic);
    if (found == outside_.what.partitions.end()) return std::nullopt;
    return output_topic{id_of(topic, 0).topic, found->second, placement_of(topic), storage::durability::sync};
  }
  uint32_t shard_count() const override { return shards_; }
  inbox* here() const override {
    const auto& host = hosts_[runtime::reactor::current().id().value()];
    return host ? &host->incoming() : nullptr;
  }
  shard_id owner_of(const std::string& topic, int32_t partition) const {
    return storage::shard_of(placement_of(topic), partition, shards_);
  }
  uint32_t placement_of(const std::string& topic) const {
    const std::string flow = flow_of(outside_.what.all_specs, topic);
    return static_cast<uint32_t>(xxh3(as_bytes(flow)) % 7);
  }

  outside& outside_;
  runtime::sim_disk& disk_;
  uint32_t shards_;
  prng random_;
  std::string problem_;
  deployment deployed_;  // as it is now: some may be held
  std::unique_ptr<storage::data_dir> dir_;
  std::vector<std::unique_ptr<storage::shard_store>> stores_;
  std::vector<std::unique_ptr<shard_host>> hosts_;
  // What is implied for topics that others send to: by topic and partition, then by who sent it.
  std::map<std::pair<std::string, int32_t>, std::map<std::string, std::vector<seen_record>>> sent_;
};

}  // namespace millrace::processors::kit
