// image: all topics as of one moment.
//
// Immutable once published: shard 0 makes a new one for every change and hands the pointer to all shards, so
// a request works on one consistent picture however long it takes, and nobody locks. A change copies pointers
// to topics, not topics, so ten thousand topics cost it some tens of microseconds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "base/uuid.h"
#include "broker/config/topic_settings.h"
#include "storage/types.h"

namespace millrace::broker {

struct topic {
  uuid id;
  std::string name;
  int32_t partitions = 0;
  uint32_t placement_seed = 0;
  topic_overrides overrides;
  topic_settings settings;
  // Kafka's internal topics: shown as such, closed to ordinary producers.
  bool is_internal = false;

  bool has_partition(int32_t index) const noexcept { return index >= 0 && index < partitions; }
  storage::topic_partition_id partition(int32_t index) const noexcept { return {id, index}; }
  shard_id owner(int32_t index, uint32_t shards) const noexcept {
    return storage::shard_of(placement_seed, index, shards);
  }
};

using topic_ptr = std::shared_ptr<const topic>;

class metadata_image {
 public:
  // Null if there is none.
  const topic* find(std::string_view name) const noexcept;
  const topic* find(const uuid& id) const noexcept;
  // The topic whose name Kafka could not tell from `name`: equal once '.' and '_' are taken for one another.
  const topic* find_colliding(std::string_view name) const;

  // Sorted by name.
  const std::vector<topic_ptr>& topics() const noexcept { return by_name_; }
  // What every partition's leader epoch is.
  leader_epoch epoch() const noexcept { return epoch_; }

  // The same image with these topics added (or replaced, by id) and those removed.
  std::shared_ptr<const metadata_image> with(std::vector<topic_ptr> put,
                                             const std::vector<uuid>& removed) const;
  static std::shared_ptr<const metadata_image> make(std::vector<topic_ptr> topics, leader_epoch epoch);

 private:
  std::vector<topic_ptr> by_name_;
  std::vector<topic_ptr> by_id_;
  leader_epoch epoch_{0};
};

using image_ptr = std::shared_ptr<const metadata_image>;

// Why `name` is no topic name, as one sentence; empty if it is one.
std::string topic_name_fault(std::string_view name);
bool is_internal_topic(std::string_view name) noexcept;

}  // namespace millrace::broker
