#include "broker/shard_context.h"

namespace millrace::broker {
namespace {

int64_t share_of(int64_t total, const node& whole) {
  return std::max<int64_t>(1024 * 1024, total / whole.config.shards);
}

}  // namespace

shard_context::shard_context(shard_id id, node& whole, storage::shard_store& store, image_ptr image)
    : requests(share_of(whole.config.queued_request_bytes, whole)),
      responses(share_of(whole.config.queued_response_bytes, whole)),
      sessions(static_cast<size_t>(whole.config.fetch_sessions_max) / whole.config.shards),
      id_(id),
      whole_(whole),
      store_(store),
      config_(whole.config),
      given_(whole.given),
      dynamic_(whole.dynamic),
      image_(std::move(image)) {}

void shard_context::adopt(std::shared_ptr<const dynamic_configs> dynamic, const class config& given,
                          const settings& now) {
  dynamic_ = std::move(dynamic);
  given_ = given;
  config_ = now;
  for (const config_listener& listener : config_listeners_) listener();
}

void shard_context::publish(image_ptr now) {
  const image_ptr before = std::exchange(image_, std::move(now));
  for (const image_listener& listener : listeners_) listener(before, image_);
}

}  // namespace millrace::broker
