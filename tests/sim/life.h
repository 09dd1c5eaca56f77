// life: one broker as far as storage is concerned, from its start on a simulated disk to its stop or power
// cut, with clients that know what they were promised. Made anew for each life of a story (lives.cc); what
// outlives a life is in the `story`. life.cc starts, checks and stops it, clients.cc does the work in
// between.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/prng.h"
#include "protocol/batch_check.h"
#include "runtime/gate.h"
#include "runtime/sim/world.h"
#include "storage/data_dir.h"
#include "storage/shard_store.h"
#include "tests/sim/lives.h"
#include "tests/sim/model.h"

namespace millrace::sim_test {

using namespace millrace::storage;
using runtime::reactor;
using runtime::sim_disk;
using runtime::sim_world;
using runtime::task;

inline constexpr uint32_t shards_max = 4;
inline constexpr int topics_at_start = 14;
inline constexpr int32_t partitions_per_topic = 4;  // 56 partitions
// Topics 0 and 1 feed topics 2 and 3, partition by partition.
inline constexpr int flows = 2;
// Reads these slowly; retention must wait for it.
inline constexpr uint64_t first_followed_topic = 4;
inline constexpr uint64_t followed_topics = 4;

// Topic 7, which is followed, and 9 to 11 are compacted.
bool is_compacted(const uuid& topic);
// Whether its first records may go: nothing else in the story needs all of them.
bool may_be_trimmed(const uuid& topic);
// Those of 7 and 10 keep them for longer than any story lasts, of the others they go at once.
bool keeps_tombstones(const uuid& topic);

// The n-th topic, or whatever else has an id.
uuid id_of(uint64_t n);

// A batch whose first record has `name` as its key; values are made of the name, too.
protocol::checked_batch make_batch(const std::string& name, int records, size_t value_bytes,
                                   int64_t timestamp_ms, int64_t producer_id = -1, int32_t sequence = -1);
// For compacted topics: records of few keys, some of them tombstones; which, follows from the name.
protocol::checked_batch make_keyed_batch(const std::string& name, int records, size_t value_bytes,
                                         int64_t timestamp_ms);
std::string first_key(const slice& batch);
std::vector<batch_seen> batches_of(const iobuf& records);
std::vector<record_seen> records_of(const iobuf& records);
// Of a batch that was stored at `base`.
std::vector<record_seen> records_of(const protocol::checked_batch& batch, int64_t base);

// A client that numbers its batches, and what it does not know the fate of.
struct producer {
  int64_t id = 0;
  topic_partition_id target;
  int32_t sequence = 0;
  struct sent {
    std::string name;
    int32_t sequence = 0;
    int records = 1;
    size_t value_bytes = 0;
    int64_t acked_at = -1;  // base offset; -1: no answer came
  };
  std::optional<sent> last;
};

// One seed's story: what outlives a crash in the outside world.
struct story {
  explicit story(uint64_t seed, run_options o) : options(o), random(seed) {}

  run_options options;
  prng random;
  model known;
  run_result outcome;
  std::vector<producer> producers;
  uint64_t names = 0;
  uint64_t topics_made = topics_at_start;
  int life = 0;
  // In some stories durabilities move on by this much in each life.
  bool has_retention = false;
  bool has_scrub = false;
  uint64_t durability_step = 0;
  uint64_t durability_shift = 0;
  // Of the second flow, whose topics always agree.
  durability second_flow = durability::os;

  std::string new_name() { return fmt::format("{}.{}", life, names++); }

  // Most topics are synced; 1 and its output 3, 9 to 13 and passing ones are of all kinds.
  durability durability_of(const uuid& topic) const {
    const uint64_t n = load_le<uint64_t>(topic.bytes.data() + 8) - 1;
    const uint64_t shift = durability_shift;
    if (n == 1 || n == 3) return static_cast<durability>((static_cast<uint64_t>(second_flow) + shift) % 3);
    if (n == 0 || n == 2) return static_cast<durability>(shift % 3);
    if (n < 9) return static_cast<durability>(n == 5 ? shift % 3 : 0);
    return static_cast<durability>((n + shift) % 3);
  }
};

partition_config config_for(const story& s, const uuid& topic);

// The whole broker as far as storage is concerned, for one life.
class life {
 public:
  life(story& s, uint32_t shards) : story_(s), known_(s.known), shards_(shards) { stores_.resize(shards); }

  task<void> run();
  // Only reads: a bit of the disk was changed, which must hide what it is in and nothing else.
  task<void> run_on_damaged_disk();

 private:
  task<bool> open();
  task<void> open_shard(uint32_t shard);
  task<void> check_shard(uint32_t shard);
  task<void> read_damaged(uint32_t shard);
  void check_integrity(const shard_store& store);
  void check_follower(shard_store& store, const partition_log& log);
  task<iobuf> read_everything(shard_store& store, topic_partition_id id);
  void know_appended(const topic_partition_id& id, const protocol::checked_batch& batch, const appended& done,
                     const std::string& name, durability kept);
  task<void> work();
  task<void> work_on_shard(uint32_t shard);
  task<void> produce_plain(uint32_t shard, prng random);
  task<void> produce_idempotent(uint32_t shard, size_t index, prng random);
  task<void> read_now_and_then(uint32_t shard, prng random);
  task<void> delete_records_now_and_then(uint32_t shard, prng random);
  task<void> follow_slowly(uint32_t shard, prng random);
  task<void> step_clock_now_and_then(prng random);
  task<void> change_topics(prng random);
  task<void> fill_disk_now_and_then(prng random);
  task<void> close();
  task<bool> append_and_wait(uint32_t shard, topic_partition_id id, std::string name, int records,
                             size_t value_bytes);
  void derive(uint32_t shard, partition_log& log, const slice& stored);
  topic_partition_id pick(uint32_t shard, prng& random, bool plain_only);
  bool is_over() const { return known_.failure || disk().has_crashed(); }
  sim_disk& disk() const { return *disk_; }

 public:
  sim_disk* disk_ = nullptr;
  sim_world* world_ = nullptr;
  int steps = 20;
  bool stops_cleanly = false;
  bool is_disk_damaged = false;

 private:
  story& story_;
  model& known_;
  uint32_t shards_;
  std::unique_ptr<data_dir> dir_;
  std::vector<std::unique_ptr<shard_store>> stores_;
  runtime::gate clients_[shards_max];
};

}  // namespace millrace::sim_test
