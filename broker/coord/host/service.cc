#include "broker/coord/host/service.h"

#include <algorithm>

#include "broker/config/key_spec.h"
#include "broker/shard_context.h"

namespace millrace::broker::coord {
namespace {

std::shared_ptr<const own_times_by_group> own_times_from(const dynamic_configs& dynamic) {
  auto own = std::make_shared<own_times_by_group>();
  for (const auto& [group, values] : dynamic.groups) {
    const auto value_of = [&values](std::string_view key) -> std::optional<int32_t> {
      const auto found = values.find(key);
      if (found == values.end()) return std::nullopt;
      return static_cast<int32_t>(to_integer(found->second));
    };
    own->emplace(group, own_times{.session_timeout_ms = value_of("consumer.session.timeout.ms"),
                                  .heartbeat_interval_ms = value_of("consumer.heartbeat.interval.ms"),
                                  .assignment_interval_ms = value_of("consumer.assignment.interval.ms")});
  }
  return own;
}

group_config config_from(const settings& s, const dynamic_configs& dynamic) {
  return {.session_timeout_min_ms = static_cast<int32_t>(s.group_session_timeout_min_ms),
          .session_timeout_max_ms = static_cast<int32_t>(s.group_session_timeout_max_ms),
          .members_max = s.group_members_max,
          .initial_rebalance_delay_ms = static_cast<int32_t>(s.group_initial_rebalance_delay_ms),
          .offset_metadata_bytes_max = s.offset_metadata_bytes_max,
          .offsets_retention_ms = s.offsets_retention_ms,
          .retention_check_interval_ms = s.offsets_retention_check_ms,
          .consumer_session_timeout_ms = s.consumer_session_timeout_ms,
          .consumer_heartbeat_interval_ms = s.consumer_heartbeat_interval_ms,
          .consumer_assignment_interval_ms = s.consumer_assignment_interval_ms,
          .consumer_members_max = s.consumer_members_max,
          .assignors = s.consumer_assignors,
          .migration = {.may_upgrade = s.may_upgrade_groups, .may_downgrade = s.may_downgrade_groups},
          .own = own_times_from(dynamic)};
}

topic_info info_of(const topic& t) {
  return {.id = t.id, .name = t.name, .partitions = t.partitions};
}

}  // namespace

std::optional<topic_info> image_topics::find(std::string_view name) const {
  const topic* t = shard_.image()->find(name);
  return t == nullptr ? std::nullopt : std::optional(info_of(*t));
}

std::optional<topic_info> image_topics::find(const uuid& id) const {
  const topic* t = shard_.image()->find(id);
  return t == nullptr ? std::nullopt : std::optional(info_of(*t));
}

void image_topics::for_each_name(const std::function<void(std::string_view)>& visit) const {
  const image_ptr image = shard_.image();
  for (const topic_ptr& t : image->topics()) visit(t->name);
}

service::service(shard_context& shard)
    : shard_(shard),
      config_(config_from(shard.config(), shard.dynamic())),
      topics_(shard),
      stopping_(shard.stopping.subscribe([this] { stop(); })) {
  shard.on_adopt([this] {
    config_ = config_from(shard_.config(), shard_.dynamic());
    for (auto& [index, p] : partitions_) p->set_config(config_);
  });
  shard.on_publish([this](const image_ptr& before, const image_ptr& now) { follow(before, now); });
}

void service::open() {
  is_open_ = true;
  if (const topic* t = shard_.image()->find(group_topic); t != nullptr) take_partitions(*t);
}

void service::stop() {
  is_open_ = false;
  for (auto& [index, p] : partitions_) p->stop();
}

task<void> service::close() {
  stop();
  for (auto& [index, p] : partitions_) {
    auto closing = p->close();
    co_await closing;
  }
  for (auto& p : retired_) {
    auto closing = p->close();
    co_await closing;
  }
}

group_partition* service::find(int32_t partition) {
  const auto found = partitions_.find(partition);
  return found == partitions_.end() ? nullptr : found->second.get();
}

void service::take_partitions(const topic& t) {
  for (int32_t p = 0; p < t.partitions; ++p) {
    if (shard_.owner(t, p) != shard_.id() || partitions_.contains(p)) continue;
    auto& slot = partitions_[p];
    slot = std::make_unique<group_partition>(shard_.store(), t.partition(p), config_, topics_);
    slot->open();
  }
}

void service::follow(const image_ptr& before, const image_ptr& now) {
  if (!is_open_) return;
  const topic* groups = now->find(group_topic);
  for (auto at = partitions_.begin(); at != partitions_.end();) {
    if (groups != nullptr && at->second->id().topic == groups->id) {
      ++at;
      continue;
    }
    at->second->stop();
    retired_.push_back(std::move(at->second));
    at = partitions_.erase(at);
  }
  if (groups != nullptr) take_partitions(*groups);

  for (auto& [index, p] : partitions_) p->topics_changed();
  for (const topic_ptr& t : before->topics()) {
    if (now->find(t->id) != nullptr) continue;
    for (auto& [index, p] : partitions_) p->forget_topic(t->name);
  }
}

}  // namespace millrace::broker::coord
