// data_dir: what all shards of a broker share on disk, and the order in which it is opened.
//
// Takes the lock, checks `meta.properties` (cluster id, node id, format, number of shards), replays the
// metadata log, bumps the leader epoch after an unclean stop, adopts what was imported, and re-places
// partitions when the number of shards has changed. Runs on: shard 0, before any shard_store opens. The
// broker then opens one shard_store per shard, on that shard, with store_options_for() and specs_for().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "runtime/task.h"
#include "storage/adopt.h"
#include "storage/metadata_log.h"
#include "storage/options.h"
#include "storage/types.h"

namespace millrace::storage {

struct data_dir_options {
  std::string path;
  uint32_t shards = 1;
  int32_t node_id = 1;
  // Everything of a shard's options that the user may set; data_dir fills in the rest.
  store_options store;
  // Turns a topic's Kafka configuration into what storage needs (broker defaults included).
  std::function<partition_config(const topic_metadata&)> config_of;
  // For topics that were imported while the broker was down; without it they keep all of theirs.
  config_filter keep_config;
};

class data_dir {
 public:
  // errc::locked: another broker uses the directory. errc::not_supported: written by a newer version.
  static task<result<std::unique_ptr<data_dir>>> open(data_dir_options options);
  virtual ~data_dir() = default;

  virtual metadata_log& metadata() = 0;
  // 22 characters, made once for a new directory.
  virtual const std::string& cluster_id() const = 0;
  virtual leader_epoch epoch() const = 0;
  // Whether the last run ended with a clean stop (or there was none).
  virtual bool was_clean() const = 0;

  virtual store_options options_for(shard_id shard) const = 0;
  virtual std::vector<partition_spec> specs_for(shard_id shard) const = 0;

  // Notes a clean stop if the checkpoints say so. Requires: every shard_store's close() succeeded.
  virtual task<result<void>> close() = 0;
};

}  // namespace millrace::storage
