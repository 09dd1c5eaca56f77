// shard_context: the broker's part of one shard.
//
// Handlers find here whatever is not in their request: the topics, the partitions of this shard, the memory
// bounds. Another shard's context is touched only by a call_on() to that shard. Lives from before the first
// connection until after the last; runs on its shard only, except id() and whole(), which never change.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/types.h"
#include "broker/fetch/sessions.h"
#include "broker/fetch/waits.h"
#include "broker/metadata/image.h"
#include "broker/node.h"
#include "broker/server/request_memory.h"
#include "broker/server/response_budget.h"
#include "runtime/abort.h"
#include "runtime/gate.h"
#include "storage/shard_store.h"

namespace millrace::broker::coord {
class service;
}

namespace millrace::broker {

class shard_context {
 public:
  shard_context(shard_id id, node& whole, storage::shard_store& store, image_ptr image);
  shard_context(const shard_context&) = delete;
  shard_context& operator=(const shard_context&) = delete;

  shard_id id() const noexcept { return id_; }
  // What clients may change at run time changes in place, between two steps of this shard: a reference stays
  // good, but a value read before an await may be an old one.
  const settings& config() const noexcept { return config_; }
  const class config& given() const noexcept { return given_; }
  const dynamic_configs& dynamic() const noexcept { return *dynamic_; }
  node& whole() const noexcept { return whole_; }
  storage::shard_store& store() const noexcept { return store_; }

  // The topics as of now. Take the pointer once per request: then all of the request sees one picture.
  const image_ptr& image() const noexcept { return image_; }
  // Which shard has a partition. Requires: the topic has that partition.
  shard_id owner(const topic& t, int32_t partition) const noexcept {
    return t.owner(partition, whole_.shard_count());
  }

  // Takes over what was set at run time, then tells the listeners. `now` is the whole configuration with it.
  // Called by config_registry.
  void adopt(std::shared_ptr<const dynamic_configs> dynamic, const class config& given, const settings& now);
  using config_listener = std::function<void()>;
  void on_adopt(config_listener listener) { config_listeners_.push_back(std::move(listener)); }

  // Replaces the image, then tells the listeners. Called by topic_registry.
  void publish(image_ptr now);
  // Called after each change with the image before and the one now.
  using image_listener = std::function<void(const image_ptr& before, const image_ptr& now)>;
  void on_publish(image_listener listener) { listeners_.push_back(std::move(listener)); }

  request_memory requests;
  response_budget responses;
  fetch_sessions sessions;
  fetch_waits waits;
  // The groups whose partition of __consumer_offsets this shard owns. Set at start.
  coord::service* groups = nullptr;

  // Requested when the broker shuts down: long waits end early.
  runtime::abort_source stopping;
  // Work of the broker that no connection awaits.
  runtime::gate background;

 private:
  shard_id id_;
  node& whole_;
  storage::shard_store& store_;
  settings config_;
  class config given_;
  std::shared_ptr<const dynamic_configs> dynamic_;
  image_ptr image_;
  std::vector<image_listener> listeners_;
  std::vector<config_listener> config_listeners_;
};

}  // namespace millrace::broker
