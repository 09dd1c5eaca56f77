// service: the coordinators of one shard.
//
// Holds a group_partition for each partition of __consumer_offsets that this shard owns, as the topics'
// image says, and follows the image: partitions appear when the topic is made (on first use), positions
// are forgotten with the topics they are in.
//
// Start: construct after the shard_context, then open(). When the shard is told to stop, every request
// that waits in a rebalance is answered, so that its connection can end; close() after the connections.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "broker/coord/host/group_partition.h"
#include "broker/metadata/image.h"

namespace millrace::broker {
class shard_context;
}

namespace millrace::broker::coord {

inline constexpr std::string_view group_topic = "__consumer_offsets";

// The topics as the shard's image has them at the moment.
class image_topics final : public topic_source {
 public:
  explicit image_topics(const shard_context& shard) : shard_(shard) {}

  std::optional<topic_info> find(std::string_view name) const override;
  std::optional<topic_info> find(const uuid& id) const override;
  void for_each_name(const std::function<void(std::string_view name)>& visit) const override;

 private:
  const shard_context& shard_;
};

class service {
 public:
  explicit service(shard_context& shard);
  service(const service&) = delete;
  service& operator=(const service&) = delete;

  // Begins to load the partitions there are. Requires: called on the shard, once.
  void open();
  task<void> close();

  // Null if this shard does not coordinate it (yet).
  group_partition* find(int32_t partition);
  const std::map<int32_t, std::unique_ptr<group_partition>>& partitions() const noexcept {
    return partitions_;
  }

 private:
  void stop();
  void follow(const image_ptr& before, const image_ptr& now);
  void take_partitions(const topic& t);

  shard_context& shard_;
  group_config config_;
  const image_topics topics_;
  std::map<int32_t, std::unique_ptr<group_partition>> partitions_;
  std::vector<std::unique_ptr<group_partition>> retired_;  // stopped; closed at the end
  bool is_open_ = false;
  runtime::abort_source::subscription stopping_;
};

}  // namespace millrace::broker::coord
