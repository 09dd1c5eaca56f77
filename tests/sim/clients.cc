// What happens within a life: producers, readers, topics that come and go, a disk that fills up.
#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "base/checksum.h"
#include "runtime/shards.h"
#include "tests/sim/life.h"

namespace millrace::sim_test {

namespace {
constexpr int64_t day_ms = 24 * 3600 * 1000LL;
}

topic_partition_id life::pick(uint32_t shard, prng& random, bool plain_only) {
  std::vector<topic_partition_id> ids;
  stores_[shard]->for_each([&](partition_log& log) {
    for (int flow = 0; flow < flows; ++flow)
      if (log.id().topic == id_of(flow + flows)) return;  // derived: nobody else writes there
    if (plain_only && log.id().topic == id_of(0)) return;
    ids.push_back(log.id());
  });
  std::sort(ids.begin(), ids.end());
  std::vector<topic_partition_id> compacted;
  std::ranges::copy_if(ids, std::back_inserter(compacted),
                       [](const auto& id) { return is_compacted(id.topic); });
  if (!compacted.empty() && random.one_in(3))
    return compacted[random.below(std::min<size_t>(compacted.size(), 5))];
  // A few partitions get most of the work, so that they roll.
  const uint64_t n = random.one_in(3) ? ids.size() : std::min<uint64_t>(ids.size(), 4);
  return ids[random.below(n)];
}

void life::know_appended(const topic_partition_id& id, const protocol::checked_batch& batch,
                         const appended& done, const std::string& name, durability kept) {
  if (is_compacted(id.topic)) {
    for (record_seen& r : records_of(batch, done.base_offset.value())) known_.know(id, std::move(r), kept);
  } else {
    known_.know(id, batch_seen{done.base_offset.value(), done.last_offset.value() + 1, name, 0}, kept);
  }
}

task<bool> life::append_and_wait(uint32_t shard, topic_partition_id id, std::string name, int records,
                                 size_t value_bytes) {
  shard_store& store = *stores_[shard];
  // A tenth of the names is of long ago.
  const int64_t age_ms = xxh3(as_bytes(name)) % 10 == 0 ? 4 * day_ms : 0;
  const int64_t timestamp_ms = reactor::current().wall_clock_ms() - age_ms;
  const protocol::checked_batch batch =
      is_compacted(id.topic) ? make_keyed_batch(name, records, value_bytes % 2'000, timestamp_ms)
                             : make_batch(name, records, value_bytes, timestamp_ms);
  auto admitted = co_await store.admit(batch.size_bytes());
  if (!admitted) co_return false;
  partition_log* log = store.find(id);
  if (!log) co_return false;
  auto done = store.append(*log, batch, append_origin::client);
  if (!done) co_return false;
  ++story_.outcome.appended;
  auto durable = co_await store.wait_durable(done->durable_at);
  if (!durable || disk().has_crashed()) co_return false;
  ++story_.outcome.acknowledged;
  const durability kept = story_.durability_of(id.topic);
  know_appended(id, batch, *done, name, kept);
  log = store.find(id);
  if (log) known_.saw_watermark(id, log->high_watermark().value(), kept);
  if (log && log->high_watermark() <= done->last_offset)
    known_.fail("{} was acknowledged at {} above the high watermark {}", name, done->base_offset,
                log->high_watermark());
  co_return true;
}

task<void> life::produce_plain(uint32_t shard, prng random) {
  for (int i = 0; i < steps && !is_over(); ++i) {
    const topic_partition_id id = pick(shard, random, false);
    const size_t bytes = random.one_in(20) ? random.below(16'000) : random.below(1'500);
    const int records = static_cast<int>(1 + random.below(3));
    auto done = append_and_wait(shard, id, story_.new_name(), records, bytes);
    const bool ok = co_await done;
    if (!ok || random.one_in(4))
      co_await reactor::current().sleep(std::chrono::microseconds(random.below(3'000)));
  }
}

task<void> life::produce_idempotent(uint32_t shard, size_t index, prng random) {
  shard_store& store = *stores_[shard];
  for (int i = 0; i < steps && !is_over(); ++i) {
    producer& p = story_.producers[index];
    // Repeats what it has no answer for, and now and then what it has.
    const bool repeats = p.last && (p.last->acked_at < 0 || random.one_in(5));
    if (!repeats) {
      producer::sent next;
      next.name = story_.new_name();
      next.records = static_cast<int>(1 + random.below(4));
      next.value_bytes = random.below(1'200);
      next.sequence = p.sequence;
      p.sequence = sequence_plus(p.sequence, next.records);
      p.last = next;
    }
    const producer::sent sent = *p.last;
    const durability kept = story_.durability_of(p.target.topic);
    partition_log* log = store.find(p.target);
    if (!log) co_return;
    const protocol::checked_batch batch = make_batch(sent.name, sent.records, sent.value_bytes,
                                                     1'700'000'000'000 + story_.life, p.id, sent.sequence);
    auto admitted = co_await store.admit(batch.size_bytes());
    log = store.find(p.target);
    if (!log) co_return;
    if (!admitted) {
      co_await reactor::current().sleep(std::chrono::milliseconds(5));
      continue;
    }
    auto done = store.append(*log, batch, append_origin::client);
    if (!done) {
      if (done.error().code == errc::out_of_order_sequence_number)
        known_.fail("producer {} sequence {} of {}: {}", p.id, sent.sequence, sent.name,
                    to_string(done.error()));
      co_await reactor::current().sleep(std::chrono::milliseconds(5));
      continue;
    }
    ++story_.outcome.appended;
    if (done->is_duplicate) ++story_.outcome.duplicates;
    // Now and then the same again at once, before the first one can be durable.
    if (random.one_in(6)) {
      auto again = store.append(*log, batch, append_origin::client);
      if (!again || !again->is_duplicate || again->base_offset != done->base_offset)
        known_.fail("producer {}: {} sent twice in a row is not a duplicate", p.id, sent.name);
      if (again) done->durable_at = again->durable_at;
    }
    if (sent.acked_at >= 0 && (!done->is_duplicate || done->base_offset.value() != sent.acked_at))
      known_.fail("producer {}: {} was at {} and, repeated, is {} at {}", p.id, sent.name, sent.acked_at,
                  done->is_duplicate ? "known" : "new", done->base_offset);
    auto durable = co_await store.wait_durable(done->durable_at);
    if (!durable || disk().has_crashed()) co_return;
    story_.producers[index].last->acked_at = done->base_offset.value();
    ++story_.outcome.acknowledged;
    know_appended(p.target, batch, *done, sent.name, kept);
    if (log = store.find(p.target); log) known_.saw_watermark(p.target, log->high_watermark().value(), kept);
  }
}

task<void> life::read_now_and_then(uint32_t shard, prng random) {
  shard_store& store = *stores_[shard];
  for (int i = 0; i < steps && !is_over(); ++i) {
    const topic_partition_id id = pick(shard, random, false);
    partition_log* log = store.find(id);
    const int64_t watermark = log->high_watermark().value();
    const offset from(random.between(log->log_start().value(), watermark));
    const read_request request{from, 8 * 1024, true, read_bound::high_watermark};
    auto got = co_await store.read(*log, request);
    // What was read before the power went was seen by somebody.
    if (is_over()) co_return;
    if (!got) {
      const partition_log* now = store.find(id);
      if (now && now->log_start() <= from)
        known_.fail("read {} at {}: {}", id.topic.to_string(), from, to_string(got.error()));
      continue;
    }
    const durability kept = story_.durability_of(id.topic);
    known_.saw_watermark(id, watermark, kept);
    known_.saw_log_start(id, got->log_start.value(), kept);
    if (is_compacted(id.topic)) {
      for (record_seen& r : records_of(got->records)) known_.know(id, std::move(r), kept);
    } else {
      for (const batch_seen& batch : batches_of(got->records)) known_.know(id, batch, kept);
    }
    co_await reactor::current().sleep(std::chrono::microseconds(random.below(4'000)));
  }
}

// DeleteRecords: an answered log start holds from then on, whatever happens next.
task<void> life::delete_records_now_and_then(uint32_t shard, prng random) {
  shard_store& store = *stores_[shard];
  for (int i = 0; i < steps / 5 && !is_over(); ++i) {
    co_await reactor::current().sleep(std::chrono::microseconds(random.below(30'000)));
    if (is_over()) co_return;
    const topic_partition_id id = pick(shard, random, false);
    if (!may_be_trimmed(id.topic)) continue;
    const partition_log* log = store.find(id);
    const offset to(random.between(log->log_start().value(), log->high_watermark().value()));
    auto moved = co_await store.advance_log_start(id, to);
    if (is_over()) co_return;
    if (moved) known_.saw_log_start(id, moved->value(), story_.durability_of(id.topic));
  }
}

// Topics that nothing else in the story relies on come and go.
task<void> life::change_topics(prng random) {
  for (int i = 0; i < steps / 5 && !is_over(); ++i) {
    co_await reactor::current().sleep(std::chrono::microseconds(random.below(20'000)));
    if (is_over()) co_return;
    std::vector<uuid> transient;
    for (const auto& [id, topic] : dir_->metadata().state().topics)
      if (id >= id_of(topics_at_start)) transient.push_back(id);
    std::vector<metadata_entry> entries;
    if (transient.empty() || random.one_in(2)) {
      const uint64_t n = story_.topics_made++;
      const topic_created made{id_of(n), fmt::format("passing{}", n % 3), 2, static_cast<uint32_t>(n), {}};
      if (dir_->metadata().state().find(made.name)) continue;
      entries.push_back(made);
      auto durable = co_await dir_->metadata().append(std::move(entries));
      if (!durable || disk().has_crashed()) co_return;
      known_.topics.insert(made.id);
      for (int32_t p = 0; p < made.partitions; ++p) {
        const partition_spec spec{{made.id, p}, made.name, made.placement_seed, config_for(story_, made.id)};
        const uint32_t shard = shard_of(made.placement_seed, p, shards_).value();
        auto created =
            runtime::call_on(shard_id(shard), [this, shard, spec] { return stores_[shard]->create(spec); });
        auto outcome = co_await created;
        if (!outcome) known_.fail("create: {}", to_string(outcome.error()));
      }
    } else {
      const topic_metadata doomed =
          dir_->metadata().state().topics.at(transient[random.below(transient.size())]);
      known_.topics.erase(doomed.id);  // in doubt
      entries.push_back(topic_deleted{doomed.id});
      auto durable = co_await dir_->metadata().append(std::move(entries));
      if (!durable || disk().has_crashed()) co_return;
      known_.deleted.insert(doomed.id);
      for (int32_t p = 0; p < doomed.partitions; ++p) {
        const topic_partition_id id{doomed.id, p};
        const uint32_t shard = shard_of(doomed.placement_seed, p, shards_).value();
        auto removed =
            runtime::call_on(shard_id(shard), [this, shard, id] { return stores_[shard]->remove(id); });
        auto outcome = co_await removed;
        if (!outcome && !is_over() && outcome.error().code != errc::disk_full)
          known_.fail("remove: {}", to_string(outcome.error()));
      }
    }
  }
}

task<void> life::fill_disk_now_and_then(prng random) {
  co_await reactor::current().sleep(std::chrono::microseconds(random.below(20'000)));
  if (is_over()) co_return;
  disk().set_capacity(disk().used_bytes() + random.below(100'000));
  co_await reactor::current().sleep(std::chrono::milliseconds(random.below(300)));
  disk().set_capacity(uint64_t{1} << 50);
}

task<void> life::step_clock_now_and_then(prng random) {
  co_await reactor::current().sleep(std::chrono::microseconds(random.below(50'000)));
  if (random.one_in(2)) world_->step_wall_clock(random.one_in(2) ? day_ms : -day_ms);
}

task<void> life::work_on_shard(uint32_t shard) {
  runtime::gate& clients = clients_[shard];
  const uint64_t seed = story_.random.next();
  clients.spawn(produce_plain(shard, prng(seed)));
  clients.spawn(produce_plain(shard, prng(seed + 1)));
  for (size_t i = 0; i < story_.producers.size(); ++i)
    if (stores_[shard]->find(story_.producers[i].target))
      clients.spawn(produce_idempotent(shard, i, prng(seed + 2 + i)));
  clients.spawn(read_now_and_then(shard, prng(seed + 100)));
  clients.spawn(follow_slowly(shard, prng(seed + 103)));
  clients.spawn(delete_records_now_and_then(shard, prng(seed + 105)));
  if (shard == 0) {
    clients.spawn(change_topics(prng(seed + 101)));
    clients.spawn(step_clock_now_and_then(prng(seed + 104)));
    if (story_.random.one_in(4)) clients.spawn(fill_disk_now_and_then(prng(seed + 102)));
  }
  auto closed = clients.close();
  co_await closed;
}

task<void> life::work() {
  runtime::gate all;
  for (uint32_t shard = 0; shard < shards_; ++shard) {
    all.spawn(runtime::call_on(shard_id(shard), [this, shard] { return work_on_shard(shard); }));
  }
  auto closed = all.close();
  co_await closed;
}

}  // namespace millrace::sim_test
