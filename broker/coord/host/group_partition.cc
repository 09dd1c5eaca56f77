#include "broker/coord/host/group_partition.h"

#include <chrono>

#include "base/limits.h"
#include "base/log.h"
#include "protocol/batch_builder.h"
#include "protocol/batch_check.h"
#include "protocol/record.h"
#include "protocol/record_batch.h"
#include "runtime/reactor.h"

namespace millrace::broker::coord {
namespace {

using std::chrono::milliseconds;

constexpr uint32_t load_bytes = 4u << 20;           // read at a time while loading
constexpr size_t plain_bytes_max = 128u << 20;      // of one batch in the log, decompressed
constexpr auto reload_delay = milliseconds(5'000);  // after a failed append
constexpr uint64_t rewrite_factor = 4;              // a log is this much longer than what is alive, at most
constexpr size_t batch_slack_bytes = 1024;          // header, and records that are larger than they thought

uuid random_uuid() {
  return uuid::make([] { return runtime::reactor::current().random().next(); });
}

}  // namespace

group_partition::group_partition(storage::shard_store& store, storage::topic_partition_id id,
                                 const group_config& config, const topic_source& topics)
    : store_(store),
      id_(id),
      machine_(config, topics, random_uuid),
      engine_(machine_, *this, *this),
      timer_([this] { engine_.run_timers(); }),
      log_bytes_min_(config.log_bytes_min),
      rewrite_at_bytes_(config.log_bytes_min) {}

void group_partition::open() {
  const storage::partition_log* log = store_.find(id_);
  MR_ASSERT(log != nullptr);
  if (log->high_watermark() == log->log_start()) return engine_.finish_loading();
  background_.spawn(load());
}

void group_partition::stop() {
  closing_.request_abort();
  timer_.cancel();
  engine_.stop();
}

task<void> group_partition::close() {
  stop();
  co_await background_.close();
}

void group_partition::forget_topic(std::string_view topic) {
  // Nobody waits for it: a crash before it is durable only leaves positions of a topic that is gone.
  reply_to<errc> nobody([](result<errc>) {});
  engine_.run(std::move(nobody), [&](step& s, reply_to<errc> reply) {
    machine_.forget_topic(topic, s);
    s.answer(std::move(reply), errc::none);
  });
}

result<uint64_t> group_partition::append(std::span<const record> records, instant now) {
  storage::partition_log* log = store_.find(id_);
  if (log == nullptr) return fail(errc::not_coordinator, "the partition is gone");
  protocol::batch_builder builder;
  for (const record& r : records) builder.add(now.wall_ms, bytes_view(r.key), r.value_view());
  const protocol::checked_batch batch = protocol::trusted_batch(builder.build({}));
  const auto done = store_.append(*log, batch, storage::append_origin::internal);
  if (!done) {
    // The engine stops now. What was appended before is still on its way to the disk: reload after that.
    if (!is_watching_ && !background_.is_closed()) background_.spawn(reload_later());
    return std::unexpected(done.error());
  }
  appended_ = std::max(appended_, done->durable_at.value());
  log_bytes_ += batch.bytes.size();
  rewrite_if_long();
  if (!is_watching_ && !background_.is_closed()) {
    is_watching_ = true;
    background_.spawn(watch_commits());
  }
  return done->durable_at.value();
}

size_t group_partition::batch_bytes_max() const {
  return limits::batch_bytes_max - batch_slack_bytes;
}

instant group_partition::now() {
  const runtime::reactor& shard = runtime::reactor::current();
  const auto since_start = std::chrono::duration_cast<milliseconds>(shard.now().time_since_epoch());
  return {since_start.count(), shard.wall_clock_ms()};
}

void group_partition::wake_at(int64_t steady_ms) {
  timer_.arm(runtime::time_point(milliseconds(steady_ms)));
}

void group_partition::rewrite_if_long() {
  if (is_rewriting_ || log_bytes_ <= rewrite_at_bytes_ || background_.is_closed()) return;
  is_rewriting_ = true;
  background_.spawn(rewrite());
}

task<void> group_partition::rewrite() {
  storage::partition_log* log = store_.find(id_);
  if (log == nullptr || closing_.is_aborted()) co_return;
  const offset from = log->log_end();
  const uint64_t stale_bytes = log_bytes_;
  using next_place = std::optional<std::string>;
  std::string place;
  bool is_complete = false;
  for (bool goes_on = true; goes_on;) {
    auto slice = ask<next_place>([&place](group_machine& m, step& s, reply_to<next_place> reply) {
      s.answer(std::move(reply), m.rewrite(place, s));
    });
    const result<next_place> next = co_await slice;
    is_complete = next && !*next;
    goes_on = next && *next && **next != place;  // a record that no batch can hold is not worth a loop
    if (goes_on) place = **next;
  }
  if (is_complete && !closing_.is_aborted()) {
    auto cut = store_.advance_log_start(id_, from);
    const result<offset> start = co_await cut;
    if (start) {
      log_bytes_ -= std::min(log_bytes_, stale_bytes);
    } else {
      log::warn("__consumer_offsets-{} keeps its old records: {}", id_.partition, to_string(start.error()));
    }
  }
  rewrite_at_bytes_ = std::max(log_bytes_min_, rewrite_factor * log_bytes_);
  is_rewriting_ = false;
}

// Follows the group commit for as long as something of ours is in it.
task<void> group_partition::watch_commits() {
  for (uint64_t durable = 0; durable < appended_;) {
    const uint64_t target = appended_;
    const result<void> done = co_await store_.wait_durable(lsn(target));
    if (!done) {
      log::error("groups of {}-{} stop: {}", "__consumer_offsets", id_.partition, to_string(done.error()));
      engine_.stop();
      break;
    }
    durable = target;
    engine_.on_durable(durable);
  }
  is_watching_ = false;
  if (engine_.current_phase() == engine::phase::stopped && !closing_.is_aborted()) co_await reload_later();
}

task<void> group_partition::reload_later() {
  const bool is_time = co_await runtime::reactor::current().sleep(reload_delay, &closing_);
  if (!is_time) co_return;
  auto durable = store_.wait_durable(lsn(appended_));
  co_await durable;  // or never: then the log does not have it either
  if (closing_.is_aborted() || engine_.current_phase() != engine::phase::stopped) co_return;
  engine_.start_loading();
  auto loading = load();
  co_await loading;
}

task<void> group_partition::load() {
  offset from = no_offset;
  log_bytes_ = 0;
  while (!closing_.is_aborted()) {
    storage::partition_log* log = store_.find(id_);
    if (log == nullptr) co_return;
    if (from == no_offset) from = log->log_start();
    if (from >= log->high_watermark()) break;
    auto read = co_await store_.read(*log, {.from = from, .bytes_max = load_bytes});
    if (closing_.is_aborted()) co_return;
    if (!read) {
      log::error("groups of __consumer_offsets-{} cannot be loaded: {}", id_.partition,
                 to_string(read.error()));
      co_return;
    }
    log_bytes_ += read->records.size();
    const auto next = replay_batches(read->records.flatten());
    if (!next) {
      // Left loading: going on without these records would hand out positions that were never committed.
      log::error("groups of __consumer_offsets-{} cannot be loaded: at offset {}: {}", id_.partition, from,
                 to_string(next.error()));
      co_return;
    }
    if (*next <= from) break;
    from = *next;
  }
  if (!closing_.is_aborted() && is_loading()) engine_.finish_loading();
}

// Applies whole batches; gives the offset behind the last.
result<offset> group_partition::replay_batches(const slice& batches) {
  offset next = no_offset;
  for (size_t at = 0; at < batches.size();) {
    const slice rest = batches.sub(at, batches.size() - at);
    auto header = protocol::parse_batch(rest);
    if (!header) return std::unexpected(std::move(header.error()));
    const slice batch = rest.sub(0, header->size_bytes());
    at += batch.size();
    next = offset(header->next_offset());
    if (header->is_control()) continue;
    auto plain = protocol::plain_records(batch, *header, plain_bytes_max);
    if (!plain) return std::unexpected(std::move(plain.error()));
    protocol::record_iterator records(*plain, header->record_count);
    for (protocol::record_view r; records.next(r);) {
      if (r.key) MR_TRY(engine_.replay(*r.key, r.value));
    }
    MR_TRY(records.status());
  }
  return next;
}

}  // namespace millrace::broker::coord
