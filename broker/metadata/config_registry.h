// config_registry: the one writer of what is configured at run time, topics excepted (topic_registry).
//
// Lives on shard 0. A change is checked against the configuration as it is, made durable in the metadata log
// as the resource's whole new set of values, handed to every shard, and only then answered. Changes run one
// after another. Topics take new defaults of the broker's at once; how the store of a shard is built (caches,
// logs) follows no change. Runs on: shard 0.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "broker/config/dynamic.h"
#include "broker/node.h"
#include "runtime/semaphore.h"
#include "runtime/task.h"
#include "storage/metadata_log.h"

namespace millrace::broker {

class config_registry {
 public:
  config_registry(node& whole, storage::metadata_log& log) : whole_(whole), log_(log) {}
  config_registry(const config_registry&) = delete;
  config_registry& operator=(const config_registry&) = delete;

  // What the metadata log holds for this node. errc::not_supported if a newer version wrote it.
  static result<dynamic_configs> stored(const storage::metadata_state& state, int32_t node_id);
  // Makes it part of the configuration that the broker starts with. Values that do not go together with what
  // was given at this start are left out, and logged.
  static void apply_at_start(node& whole, dynamic_configs stored);

  // `name` of the broker: empty for what holds for all brokers, else its id. Requires: type is not topic.
  runtime::task<result<void>> alter(resource_type type, std::string name, config_changes changes,
                                    bool validate_only);

 private:
  runtime::task<void> publish(std::shared_ptr<const dynamic_configs> now, const config& given,
                              const settings& made);

  node& whole_;
  storage::metadata_log& log_;
  runtime::semaphore writing_{1};
};

}  // namespace millrace::broker
