// model: what the outside world has been told, and checks that a restarted store keeps to it.
//
// The dullest possible picture of a broker: per partition, which record batch is at which offset. It
// learns from acknowledgements and reads while the store runs, and is compared after every restart.
//
//   1. what was acknowledged or read is there: same offset, same bytes
//   2. offsets have no gaps and no batch is there twice
//   3. the high watermark never moves back
//      (1 and 3 as far as the partition's durability promises for that kind of crash; what it does not
//      promise may be missing from some offset on, but nothing before that offset may differ)
//   4. what a processor derives is exactly f(input): nothing lost, nothing repeated, and its cursor agrees
//   5. log_start <= high_watermark <= log_end
//   6. a deleted topic stays deleted, an acknowledged one exists
//
// In compacted topics 1 and 2 are said of records, and of each key only the newest must be there: at the
// offset that it was acknowledged or read at, or one above. A key whose newest record is a tombstone never
// shows an older one again, and shows the tombstone for as long as those are kept. What a processor has not
// read is all there.
#pragma once

#include <cstdint>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "storage/metadata_log.h"
#include "storage/types.h"

namespace millrace::sim_test {

using storage::topic_partition_id;

// How the last life ended, from the gentlest to the worst.
enum class ending { stop, kill, power_cut };

// The worst ending that a partition of this durability survives without loss.
constexpr ending survives(storage::durability d) {
  switch (d) {
    case storage::durability::sync:
      return ending::power_cut;
    case storage::durability::os:
      return ending::kill;
    case storage::durability::memory:
      return ending::stop;
  }
  return ending::stop;
}

struct batch_seen {
  int64_t base = 0;
  int64_t next = 0;
  std::string name;     // key of its first record; unique for all time
  uint64_t digest = 0;  // of the whole batch as stored
  ending survives = ending::power_cut;
};

struct record_seen {
  int64_t offset = 0;
  std::string key;
  uint64_t digest = 0;  // of the value
  bool is_tombstone = false;
  ending survives = ending::power_cut;
};

struct partition_model {
  // Of a compacted topic, by offset and by key.
  std::map<int64_t, record_seen> records;
  std::map<std::string, record_seen> newest;
  // By base offset: batches that somebody knows to be there.
  std::map<int64_t, batch_seen> certain;
  int64_t watermark[3] = {};  // that survives this ending; falling
  int64_t log_start = 0;
  int64_t log_start_seen[3] = {};  // likewise, that survives this ending
  // The worst end of a life since it was last compared.
  ending worst_end = ending::stop;
};

struct model {
  std::map<topic_partition_id, partition_model> partitions;
  // Acknowledged, respectively; what was in doubt at a crash is in neither.
  std::set<uuid> topics;
  std::set<uuid> deleted;

  // The first thing found wrong; nothing else counts after it.
  std::optional<std::string> failure;

  template <class... Args>
  void fail(fmt::format_string<Args...> text, Args&&... args) {
    if (!failure) failure = fmt::format(text, std::forward<Args>(args)...);
  }

  // Partitions that lost something they had not promised to keep.
  uint64_t suffixes_lost = 0;

  // Somebody was told that the batch is at this place, in a partition of this durability.
  void know(const topic_partition_id& id, batch_seen batch, storage::durability kept);
  // The same of a record in a compacted topic.
  void know(const topic_partition_id& id, record_seen record, storage::durability kept);
  // Somebody saw this watermark.
  void saw_watermark(const topic_partition_id& id, int64_t watermark, storage::durability kept);
  // Somebody saw this log start.
  void saw_log_start(const topic_partition_id& id, int64_t log_start, storage::durability kept);
  // A life has ended.
  void ended(ending how);
  // A restarted store holds these batches, and these marks. False if it has lost what it may lose.
  bool compare(const topic_partition_id& id, const std::vector<batch_seen>& found, int64_t log_start,
               int64_t watermark, int64_t log_end);
  // The same of a compacted topic, whose tombstones stay or go and of which nothing from `held_from` on goes.
  bool compare(const topic_partition_id& id, const std::vector<record_seen>& found, int64_t log_start,
               int64_t watermark, int64_t log_end, bool are_tombstones_kept, int64_t held_from);

 private:
  void compare_marks(const topic_partition_id& id, const partition_model& p, int64_t log_start,
                     int64_t watermark, int64_t log_end);
  static void all_seen(partition_model& p, int64_t log_start, int64_t watermark);
};

}  // namespace millrace::sim_test
