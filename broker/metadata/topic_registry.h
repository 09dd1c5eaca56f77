// topic_registry: the one writer of topics.
//
// Lives on shard 0. A change is checked against the current image, made durable in the metadata log, carried
// out on the shards that own the partitions, and published to all shards; only then is it answered. Changes
// run one after another; a request's topics share one write to the log.
//
//   check ─► metadata_log::append (durable) ─► create/remove partitions on owners ─► publish image ─► answer
//
// A crash in between leaves a topic that exists in the log without partition files; recovery makes those.
// Runs on: shard 0.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "broker/metadata/image.h"
#include "broker/node.h"
#include "runtime/semaphore.h"
#include "runtime/task.h"
#include "storage/metadata_log.h"

namespace millrace::broker {

using runtime::task;

struct new_topic {
  std::string name;
  int32_t partitions = 1;
  topic_overrides overrides;
  // The placement of another topic, so that equal partition numbers meet on one shard (a processor's output
  // beside its input). Nothing: spread over the shards.
  std::optional<uint32_t> placement_seed;
};

// Changes to one topic's configuration.
struct topic_alteration {
  uuid id;
  config_changes changes;
};

class topic_registry {
 public:
  topic_registry(node& whole, storage::metadata_log& log) : whole_(whole), log_(log) {}
  topic_registry(const topic_registry&) = delete;
  topic_registry& operator=(const topic_registry&) = delete;

  // What shard 0 sees after recovery.
  static image_ptr image_of(const storage::metadata_state& state, const config& given);
  static topic_ptr make_topic(const storage::topic_metadata& t, const config& given);
  // How the topic is kept: its overrides over the broker's defaults. Internal topics are always synced.
  static topic_settings settings_of(const storage::topic_metadata& t, const config& given);
  // What storage has to know of a topic's settings.
  static storage::partition_config partition_config_of(const topic_settings& s);
  // The overrides of a topic from elsewhere that it can keep here; says of each other one why not.
  static storage::config_map keepable_config(const storage::topic_metadata& t);

  // One result a topic, in order. Only checks if `validate_only`.
  task<std::vector<result<topic_ptr>>> create(std::vector<new_topic> wanted, bool validate_only);
  // One result a topic, in order.
  task<std::vector<result<void>>> remove(std::vector<uuid> ids);
  // Raises the number of partitions; the error if it would not grow.
  task<result<void>> add_partitions(uuid id, int32_t total, bool validate_only);
  // One result a topic, in order. What is changed holds for every partition when this returns. The durability
  // of a topic does not change while it exists: what is there would have to be made as durable first.
  task<std::vector<result<void>>> alter(std::vector<topic_alteration> wanted, bool validate_only);
  // The broker's own configuration, from which topics take what they do not set, has changed on every shard.
  task<void> follow_defaults();
  // How many changes the metadata log has taken; grows for ever.
  int64_t metadata_end() const { return log_.changes(); }

 private:
  result<void> check(const new_topic& wanted, const metadata_image& image) const;
  const image_ptr& image() const;
  task<void> create_partitions(topic_ptr t, int32_t from);
  task<void> remove_partitions(topic_ptr t);
  task<void> reconfigure_partitions(const std::vector<topic_ptr>& changed);
  result<topic_ptr> altered_topic(const topic& old, config_changes changes) const;
  const config& given() const;
  task<void> publish(image_ptr now);

  node& whole_;
  storage::metadata_log& log_;
  runtime::semaphore writing_{1};
  uint32_t next_seed_ = 0;
};

}  // namespace millrace::broker
