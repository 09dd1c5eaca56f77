// broker: all of a running broker, put together in the order in which its parts depend on one another.
//
//   data directory ─► stores, a shard each ─► topics ─► processors ─► groups ─► listeners, admin socket
//
// start() and stop() run on shard 0 of runtime::shards, whose number of shards is that of the settings. This
// file and main.cc are the only ones that know how everything is wired.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "broker/node.h"
#include "broker/server/connection_quota.h"
#include "runtime/task.h"
#include "storage/data_dir.h"
#include "storage/shard_store.h"

namespace millrace::broker {

class config_registry;
class processing;
class shard_server;
namespace admin {
class door;
}

class broker {
 public:
  // Recovers the data and begins to serve. An error leaves nothing running.
  static runtime::task<result<std::unique_ptr<broker>>> start(config given, settings s);
  ~broker();
  broker(const broker&) = delete;
  broker& operator=(const broker&) = delete;

  // Finishes the requests in progress, puts the data in its resting form, closes everything.
  runtime::task<result<void>> stop();

  // Where it listens, with the ports bound, as on the ready line: "PLAINTEXT://127.0.0.1:9092".
  const std::vector<std::string>& listening() const noexcept { return listening_; }

 private:
  // What lives on one shard; made and destroyed there.
  struct per_shard;

  broker(config given, settings s);

  runtime::task<result<void>> open_data();
  runtime::task<result<void>> open_shards();
  runtime::task<result<void>> open_store(uint32_t shard);
  runtime::task<result<void>> close_store(uint32_t shard);
  runtime::task<result<void>> open_listeners();
  runtime::task<result<void>> close_data();

  node whole_;
  connection_quota quota_;
  std::unique_ptr<storage::data_dir> data_;
  std::vector<std::unique_ptr<per_shard>> shards_;
  std::unique_ptr<topic_registry> topics_;
  std::unique_ptr<config_registry> configs_;
  std::unique_ptr<producer_ids> producers_;
  std::unique_ptr<processing> processing_;
  std::unique_ptr<admin::door> door_;
  std::vector<std::string> listening_;
};

}  // namespace millrace::broker
