#include "broker/broker.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "broker/admin/door.h"
#include "broker/coord/host/service.h"
#include "broker/metadata/config_registry.h"
#include "broker/metadata/producer_ids.h"
#include "broker/metadata/topic_registry.h"
#include "broker/processing/processing.h"
#include "broker/server/shard_server.h"
#include "broker/shard_context.h"
#include "broker/witness_page.h"
#include "runtime/reactor.h"
#include "runtime/shards.h"
#include "runtime/when_all.h"

namespace millrace::broker {

using runtime::call_on;
using runtime::task;

namespace {

// A year; more would not fit a clock that counts nanoseconds for ever.
constexpr int64_t check_ms_max = 365LL * 24 * 3600 * 1000;

storage::data_dir_options data_options(const node& whole) {
  const settings& s = whole.config;
  storage::store_options store;
  store.wal_file_bytes_max = static_cast<uint64_t>(s.wal_file_bytes);
  store.direct = s.direct_io;
  store.commit_delay_max = std::chrono::microseconds(s.commit_delay_max_us);
  store.cache_bytes = static_cast<uint64_t>(s.cache_bytes) / s.shards;
  store.producer_expiration_ms = s.producer_id_expiration_ms;
  store.retention_check_interval = std::chrono::milliseconds(std::min(s.retention_check_ms, check_ms_max));
  store.compacts = s.compacts;
  store.compaction_interval = std::chrono::milliseconds(std::min(s.compaction_interval_ms, check_ms_max));
  store.compaction_map_bytes = static_cast<uint64_t>(s.compaction_map_bytes) / s.shards;
  store.compaction_map_load = s.compaction_map_load;
  store.compaction_bytes_per_second = s.compaction_bytes_per_second / s.shards;
  store.hold_bytes_max = static_cast<uint64_t>(s.processor_hold_bytes_max);
  store.hold_ms_max = s.processor_hold_ms_max;
  store.scrub_bytes_per_second = static_cast<uint64_t>(s.scrub_bytes_per_second) / s.shards;
  return {.path = s.data_directory,
          .shards = s.shards,
          .node_id = s.node_id,
          .store = store,
          .config_of =
              [&whole](const storage::topic_metadata& t) {
                return topic_registry::partition_config_of(topic_registry::settings_of(t, whole.given));
              },
          .keep_config = topic_registry::keepable_config};
}

}  // namespace

struct broker::per_shard {
  std::unique_ptr<witness_page> witness;
  std::unique_ptr<storage::shard_store> store;
  std::unique_ptr<shard_context> context;
  std::unique_ptr<coord::service> groups;
  std::unique_ptr<shard_server> server;
};

namespace {

template <bool Allowed>
task<void> files_may_block(shard_id) {
  runtime::reactor::current().io().may_block(Allowed);
  co_return;
}

}  // namespace

broker::broker(config given, settings s)
    : whole_{.given = std::move(given), .config = std::move(s)},
      quota_(whole_.config.connections_max, whole_.config.connections_per_address_max) {}

broker::~broker() = default;

task<result<std::unique_ptr<broker>>> broker::start(config given, settings s) {
  std::unique_ptr<broker> made(new broker(std::move(given), std::move(s)));
  co_await runtime::on_every_shard(files_may_block<true>);
  result<void> opened = co_await made->open_data();
  if (opened) opened = co_await made->open_shards();
  co_await runtime::on_every_shard(files_may_block<false>);
  if (opened) opened = co_await made->open_listeners();
  if (!opened) {
    const result<void> stopped = co_await made->stop();
    if (!stopped) log::error("could not stop cleanly reason=\"{}\"", to_string(stopped.error()));
    co_return fail(std::move(opened).error());
  }
  co_return made;
}

task<result<void>> broker::open_data() {
  auto opened = co_await storage::data_dir::open(data_options(whole_));
  if (!opened) co_return fail(std::move(opened).error());
  data_ = *std::move(opened);
  whole_.cluster_id = data_->cluster_id();
  if (whole_.config.cluster_id && *whole_.config.cluster_id != whole_.cluster_id) {
    co_return fail(errc::inconsistent_cluster_id, "the data in {} belongs to cluster {}, not to cluster {}",
                   whole_.config.data_directory, whole_.cluster_id, *whole_.config.cluster_id);
  }
  auto stored = config_registry::stored(data_->metadata().state(), whole_.config.node_id);
  if (!stored) co_return fail(std::move(stored).error());
  config_registry::apply_at_start(whole_, *std::move(stored));
  quota_.set_limits(whole_.config.connections_max, whole_.config.connections_per_address_max);
  topics_ = std::make_unique<topic_registry>(whole_, data_->metadata());
  configs_ = std::make_unique<config_registry>(whole_, data_->metadata());
  producers_ = std::make_unique<producer_ids>(data_->metadata());
  whole_.topics = topics_.get();
  whole_.configs = configs_.get();
  whole_.quota = &quota_;
  whole_.producers = producers_.get();
  auto loaded = processing::load(whole_, data_->metadata());
  if (!loaded) co_return fail(std::move(loaded).error());
  processing_ = *std::move(loaded);
  whole_.processors = processing_.get();
  co_return result<void>();
}

task<result<void>> broker::open_shards() {
  const image_ptr image = topic_registry::image_of(data_->metadata().state(), whole_.given);
  shards_.resize(whole_.config.shards);
  whole_.shards.resize(whole_.config.shards);
  // All at the same time: each reads its own log.
  std::vector<task<result<void>>> openings;
  for (uint32_t i = 0; i < whole_.config.shards; ++i) {
    shards_[i] = std::make_unique<per_shard>();
    openings.push_back(open_store(i));
  }
  const std::vector<result<void>> outcomes = co_await runtime::when_all(std::move(openings));
  for (const result<void>& opened : outcomes)
    if (!opened) co_return opened;
  for (uint32_t i = 0; i < whole_.config.shards; ++i) {
    const auto make_there = [this, i, &image] {
      per_shard& s = *shards_[i];
      s.context = std::make_unique<shard_context>(shard_id(i), whole_, *s.store, image);
      s.groups = std::make_unique<coord::service>(*s.context);
      s.context->groups = s.groups.get();
      s.groups->open();
      s.server = std::make_unique<shard_server>(*s.context, quota_);
      whole_.shards[i] = s.context.get();
    };
    co_await call_on(shard_id(i), make_there);
  }
  for (const auto& s : shards_) {
    shard_context& context = *s->context;
    const auto start_there = [this, &context] { processing_->start(context); };
    co_await call_on(context.id(), start_there);
  }
  co_await processing_->finish_begun(*whole_.shards[0]);
  co_return result<void>();
}

task<result<void>> broker::open_store(uint32_t i) {
  auto specs = data_->specs_for(shard_id(i));
  auto options = data_->options_for(shard_id(i));
  // data_dir opened with what was given, before it could tell what had been set at run time.
  options.producer_expiration_ms = whole_.config.producer_id_expiration_ms;
  shards_[i]->witness = std::make_unique<witness_page>(whole_.config.data_directory, shard_id(i));
  options.witness = shards_[i]->witness->get();
  const auto open_there = [&options, &specs] {
    return storage::shard_store::open(std::move(options), std::move(specs));
  };
  auto store = co_await call_on(shard_id(i), open_there);
  if (!store) co_return fail(std::move(store).error());
  shards_[i]->store = *std::move(store);
  co_return {};
}

task<result<void>> broker::open_listeners() {
  const bool is_shared = whole_.config.shards > 1;
  for (size_t l = 0; l < whole_.config.listeners.size(); ++l) {
    const listener_settings& wanted = whole_.config.listeners[l];
    if (is_shared && wanted.bind.port != 0) {
      // With SO_REUSEPORT a second broker of the same user could bind the port, too, and take every other
      // connection. A bind without it tells.
      auto probe = co_await runtime::listener::bind(wanted.bind.host, wanted.bind.port,
                                                    {.patience = runtime::predecessor_patience});
      if (!probe) {
        co_return fail(probe.error().code, "cannot listen on {}: {}", wanted.bind.to_string(),
                       probe.error().message);
      }
      (*probe)->close();
    }
    uint16_t port = wanted.bind.port;
    for (uint32_t i = 0; i < whole_.config.shards; ++i) {
      shard_server& server = *shards_[i]->server;
      const auto bind_there = [&server, l, port, is_shared] { return server.bind(l, port, is_shared); };
      const result<uint16_t> bound = co_await call_on(shard_id(i), bind_there);
      if (!bound) co_return fail(bound.error());
      port = *bound;
    }
    listener_address told = wanted.advertised;
    if (told.port == 0) told.port = port;
    whole_.advertised.push_back(told);
    listener_address actual = wanted.bind;
    actual.port = port;
    listening_.push_back(actual.to_string());
  }
  for (uint32_t i = 0; i < whole_.config.shards; ++i) {
    shard_server& server = *shards_[i]->server;
    const auto start_there = [&server] { server.start(); };
    co_await call_on(shard_id(i), start_there);
  }
  auto door = admin::door::open(whole_);
  if (!door) co_return fail(std::move(door).error());
  door_ = *std::move(door);
  co_return result<void>();
}

task<result<void>> broker::stop() {
  if (door_) co_await door_->close();
  door_.reset();
  const auto patience = std::chrono::milliseconds(whole_.config.shutdown_timeout_ms);
  const auto stop_server = [this, patience](shard_id shard) -> task<void> {
    per_shard* s = shards_[shard.value()].get();
    if (s == nullptr || !s->server) co_return;
    co_await s->server->stop(patience);
  };
  if (!shards_.empty()) co_await runtime::on_every_shard(stop_server);
  for (const auto& s : shards_) {
    if (s == nullptr || !s->context) continue;
    shard_context& context = *s->context;
    const auto finish_there = [&context] { return context.background.close(); };
    co_await call_on(context.id(), finish_there);
    coord::service& groups = *s->groups;
    const auto close_groups_there = [&groups] { return groups.close(); };
    co_await call_on(context.id(), close_groups_there);
  }
  co_return co_await close_data();
}

task<result<void>> broker::close_store(uint32_t i) {
  result<void> closed;
  if (shards_[i]->store) {
    const auto stop_there = [this, i] { return processing_->stop(shard_id(i)); };
    co_await call_on(shard_id(i), stop_there);
    storage::shard_store& store = *shards_[i]->store;
    const auto close_there = [&store] { return store.close(); };
    closed = co_await call_on(shard_id(i), close_there);
  }
  const auto destroy_there = [this, i] { shards_[i].reset(); };
  co_await call_on(shard_id(i), destroy_there);
  co_return closed;
}

task<result<void>> broker::close_data() {
  result<void> outcome;
  std::vector<task<result<void>>> closings;
  for (uint32_t i = 0; i < shards_.size(); ++i)
    if (shards_[i] != nullptr) closings.push_back(close_store(i));
  const std::vector<result<void>> outcomes = co_await runtime::when_all(std::move(closings));
  for (const result<void>& closed : outcomes)
    if (!closed && outcome) outcome = closed;
  processing_.reset();
  configs_.reset();
  topics_.reset();
  producers_.reset();
  // A shard that did not close well has left the checkpoint of an earlier run, and that may be a clean one.
  if (data_ && outcome) outcome = co_await data_->close();
  data_.reset();
  co_return outcome;
}

}  // namespace millrace::broker
