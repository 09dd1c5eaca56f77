// metadata_log: topics, their ids, configurations and partition counts, producer-id blocks and leader
// epochs, in a small log of their own.
//
// Owned by shard 0; one writer. Each append() is one frame, durable when it returns: all of its entries
// survive a crash or none. The state is the fold of the entries; apply() is the only thing that changes
// it, at start and live. When the log has grown well past its state it is replaced by a snapshot.
//
// The file, `metadata.log`, is a row of the frames that wal/frame.h describes, of generation 1 and without
// the first block; entries carry kinds of their own (metadata_codec.h). The last frame may be torn.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "base/uuid.h"
#include "runtime/task.h"
#include "storage/types.h"

namespace millrace::storage {

using runtime::task;

// Kafka's configuration keys and values, as text.
using config_map = std::map<std::string, std::string, std::less<>>;

struct topic_created {
  uuid id;
  std::string name;
  int32_t partitions = 1;
  uint32_t placement_seed = 0;
  config_map config;
};
struct topic_deleted {
  uuid id;
};
// The topic's whole configuration after the change.
struct topic_config_changed {
  uuid id;
  config_map config;
};
struct partitions_added {
  uuid id;
  int32_t partitions = 0;  // the new total
};
// Producer ids below this may have been given out.
struct producer_ids_allocated {
  int64_t next_producer_id = 0;
};
// Every log may have shrunk (unclean start): batches from here on carry this epoch.
struct leader_epoch_bumped {
  int32_t epoch = 0;
};
// For entry kinds of rooms above: kept as the last value of (kind 128 to 254, key); empty value = removed.
struct keyed_entry {
  uint8_t kind = 128;
  std::string key;
  std::string value;
};

using metadata_entry = std::variant<topic_created, topic_deleted, topic_config_changed, partitions_added,
                                    producer_ids_allocated, leader_epoch_bumped, keyed_entry>;

struct topic_metadata {
  uuid id;
  std::string name;
  int32_t partitions = 0;
  uint32_t placement_seed = 0;
  config_map config;
};

struct metadata_state {
  std::map<uuid, topic_metadata> topics;
  std::map<std::string, uuid, std::less<>> ids_by_name;
  int64_t next_producer_id = 0;
  int32_t epoch = 0;
  std::map<std::pair<uint8_t, std::string>, std::string> keyed;

  const topic_metadata* find(std::string_view name) const;
  // errc::corruption if the entry contradicts the state (unknown topic, name taken, fewer partitions).
  result<void> check(const metadata_entry& entry) const;
  // Checks, then changes.
  result<void> apply(const metadata_entry& entry);
};

class metadata_log {
 public:
  // Opens or creates `<data_dir>/metadata.log` and replays it. errc::locked if another process has it.
  static task<result<std::unique_ptr<metadata_log>>> open(std::string data_dir);
  virtual ~metadata_log() = default;

  // Durable, and applied to state(), when it returns. Calls are serialised. A full disk
  // refuses this change only and leaves the log as it was; after any other failed write the log refuses
  // everything until restart.
  virtual task<result<void>> append(std::vector<metadata_entry> entries) = 0;
  virtual const metadata_state& state() const = 0;
  // Numbers of appends, counted on over restarts (a snapshot counts as those it is made of).
  virtual int64_t changes() const = 0;
  virtual task<result<void>> close() = 0;
};

}  // namespace millrace::storage
