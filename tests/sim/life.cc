#include "tests/sim/life.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <map>
#include <utility>

#include "base/checksum.h"
#include "protocol/batch_builder.h"
#include "protocol/record.h"
#include "runtime/shards.h"

namespace millrace::sim_test {

uuid id_of(uint64_t n) {
  uuid id;
  store_le<uint64_t>(id.bytes.data() + 8, n + 1);
  return id;
}

namespace {

const uuid processor_id = id_of(1'000'000);
const uuid follower_id = id_of(1'000'001);

bool is_followed(const topic_partition_id& id) {
  return id.topic >= id_of(first_followed_topic) && id.topic < id_of(first_followed_topic + followed_topics);
}

}  // namespace

protocol::checked_batch make_batch(const std::string& name, int records, size_t value_bytes,
                                   int64_t timestamp_ms, int64_t producer_id, int32_t sequence) {
  protocol::batch_builder builder;
  std::vector<std::byte> value(value_bytes);
  prng filler(xxh3(as_bytes(name)));
  for (std::byte& b : value) b = static_cast<std::byte>(filler.next());
  for (int i = 0; i < records; ++i) {
    const std::string key = i == 0 ? name : std::string();
    builder.add(timestamp_ms, as_bytes(key), bytes_view(value));
  }
  protocol::batch_options options;
  options.producer_id = producer_id;
  options.producer_epoch = producer_id >= 0 ? 0 : -1;
  options.base_sequence = sequence;
  return protocol::trusted_batch(builder.build(options));
}

bool is_compacted(const uuid& topic) {
  return topic == id_of(7) || (topic >= id_of(9) && topic <= id_of(11));
}

bool may_be_trimmed(const uuid& topic) {
  return topic >= id_of(2 * flows) && !is_followed({topic, 0}) && !is_compacted(topic);
}

bool keeps_tombstones(const uuid& topic) {
  return topic == id_of(7) || topic == id_of(10);
}

protocol::checked_batch make_keyed_batch(const std::string& name, int records, size_t value_bytes,
                                         int64_t timestamp_ms) {
  prng random(xxh3(as_bytes(name)));
  protocol::batch_builder builder;
  for (int i = 0; i < records; ++i) {
    const std::string key = fmt::format("k{}", random.below(6));
    const std::string value = name + std::string(value_bytes, 'v');
    std::optional<bytes_view> stored;
    if (!random.one_in(5)) stored = as_bytes(value);
    builder.add(timestamp_ms, as_bytes(key), stored);
  }
  return protocol::trusted_batch(builder.build({}));
}

namespace {

void add_records(std::vector<record_seen>& found, bytes_view plain, int32_t count, int64_t base) {
  protocol::record_iterator it(plain, count);
  for (protocol::record_view r; it.next(r);) {
    record_seen seen{base + r.offset_delta, r.key ? std::string(as_text(*r.key)) : "?"};
    seen.is_tombstone = r.is_tombstone();
    seen.digest = r.value ? xxh3(*r.value, 1) : 0;
    found.push_back(std::move(seen));
  }
}

}  // namespace

std::vector<record_seen> records_of(const protocol::checked_batch& batch, int64_t base) {
  std::vector<record_seen> found;
  add_records(found, batch.records, batch.record_count(), base);
  return found;
}

std::vector<record_seen> records_of(const iobuf& records) {
  std::vector<record_seen> found;
  for (const slice& piece : records.slices()) {
    for (size_t at = 0; at < piece.size();) {
      const auto header = protocol::batch_header::load(piece.data() + at);
      const slice batch = piece.sub(at, header.size_bytes());
      at += header.size_bytes();
      auto plain = protocol::plain_records(batch, header, 64 << 20);
      if (protocol::has_valid_crc(batch) && plain) {
        add_records(found, *plain, header.record_count, header.base_offset);
      } else {
        found.push_back({header.base_offset, "broken"});
      }
    }
  }
  return found;
}

std::string first_key(const slice& batch) {
  const auto header = protocol::batch_header::load(batch.data());
  auto plain = protocol::plain_records(batch, header, 64 << 20);
  if (!plain) return "?";
  protocol::record_iterator it(*plain, header.record_count);
  protocol::record_view record;
  if (!it.next(record) || !record.key) return "?";
  return std::string(as_text(*record.key));
}

std::vector<batch_seen> batches_of(const iobuf& records) {
  std::vector<batch_seen> found;
  for (const slice& piece : records.slices()) {
    for (size_t at = 0; at < piece.size();) {
      const auto header = protocol::batch_header::load(piece.data() + at);
      const slice batch = piece.sub(at, header.size_bytes());
      at += header.size_bytes();
      found.push_back({header.base_offset, header.next_offset(),
                       protocol::has_valid_crc(batch) ? first_key(batch) : "broken", xxh3(batch)});
    }
  }
  return found;
}

partition_config config_for(const story& s, const uuid& topic) {
  partition_config config;
  config.segment_bytes = 48 * 1024;
  config.index_interval_bytes = 1024;
  config.durability = s.durability_of(topic);
  // Those that feed others keep everything, so that input and output can be compared one by one.
  config.retention_ms = -1;
  const uint64_t n = load_le<uint64_t>(topic.bytes.data() + 8) - 1;
  config.preallocates = n % 3 == 1;
  if (n >= 2 * flows && s.has_retention) {
    if (n % 2 == 0) config.retention_bytes = 60'000;
    if (n % 3 == 0) config.retention_ms = 3 * 24 * 3600 * 1000LL;
    config.file_delete_delay_ms = static_cast<int64_t>(n % 4) * 10;
  }
  if (is_compacted(topic)) {
    config.is_compacted = true;
    config.segment_bytes = 8 * 1024;
    config.index_interval_bytes = 256;
    config.dirty_ratio_min = 0.01;
    config.delete_retention_ms = keeps_tombstones(topic) ? 1'000 * 24 * 3600 * 1000LL : 0;
    config.retention_ms = config.retention_bytes = -1;
    if (n == 11 && s.has_retention) config.retention_bytes = 30'000;
  }
  return config;
}

task<bool> life::open() {
  data_dir_options options;
  options.path = "/data";
  options.shards = shards_;
  options.config_of = [this](const topic_metadata& topic) { return config_for(story_, topic.id); };
  store_options& o = options.store;
  o.wal_file_bytes_min = 64 * limits::KiB;
  o.wal_file_bytes_max = 128 * limits::KiB;
  o.wal_bytes_max = 768 * limits::KiB;
  o.frame_bytes_target = 32 * limits::KiB;
  o.frame_bytes_max = 64 * limits::KiB;
  o.cache_bytes = 24 * limits::KiB;
  o.unspilled_bytes_max = 192 * limits::KiB;
  o.relog_bytes_max = 4 * limits::KiB;
  o.open_segments_max = 16;
  o.admit_wait_max = std::chrono::milliseconds(500);
  o.retention_check_interval = std::chrono::milliseconds(5);
  o.compaction_interval = std::chrono::milliseconds(4);
  o.compaction_map_bytes = 1 * limits::KiB;
  o.hold_ms_max = 1'000 * 24 * 3600 * 1000LL;
  if (story_.has_scrub) o.scrub_bytes_per_second = 20 * limits::MiB;
  // A life may begin a day or two away from where the clock of the one before stood.
  o.producer_expiration_ms = 4 * 24 * 3600 * 1000LL;
  auto dir = co_await data_dir::open(std::move(options));
  if (!dir) {
    if (!disk().has_crashed()) known_.fail("data_dir: {}", to_string(dir.error()));
    co_return false;
  }
  dir_ = std::move(*dir);

  for (const uuid& id : story_.known.topics)
    if (!dir_->metadata().state().topics.contains(id)) known_.fail("topic {} is gone", id.to_string());
  for (const uuid& id : story_.known.deleted)
    if (dir_->metadata().state().topics.contains(id)) known_.fail("topic {} came back", id.to_string());
  if (known_.failure) co_return false;
  // What was in doubt is decided now.
  story_.known.topics.clear();
  for (const auto& [id, topic] : dir_->metadata().state().topics) story_.known.topics.insert(id);

  // All of them at once: one frame, so all or none.
  if (story_.known.topics.empty()) {
    std::vector<metadata_entry> entries;
    for (uint64_t n = 0; n < topics_at_start; ++n) {
      const uint32_t seed = n < 2 * flows ? static_cast<uint32_t>(n % flows) : static_cast<uint32_t>(n);
      entries.push_back(topic_created{id_of(n), fmt::format("topic{}", n), partitions_per_topic, seed, {}});
    }
    auto made = co_await dir_->metadata().append(std::move(entries));
    if (!made || disk().has_crashed()) co_return false;
    for (const auto& [id, topic] : dir_->metadata().state().topics) story_.known.topics.insert(id);
  }
  for (uint32_t shard = 0; shard < shards_; ++shard) {
    auto opened = runtime::call_on(shard_id(shard), [this, shard] { return open_shard(shard); });
    co_await opened;
  }
  co_return !is_over() &&
      std::all_of(stores_.begin(), stores_.end(), [](const auto& s) { return s != nullptr; });
}

task<void> life::open_shard(uint32_t shard) {
  auto store =
      co_await shard_store::open(dir_->options_for(shard_id(shard)), dir_->specs_for(shard_id(shard)));
  if (!store) {
    if (!disk().has_crashed()) known_.fail("shard {}: {}", shard, to_string(store.error()));
    co_return;
  }
  stores_[shard] = std::move(*store);
  stores_[shard]->set_append_hook(
      [this, shard](partition_log& log, const slice& stored, const protocol::checked_batch&) {
        derive(shard, log, stored);
      });
  stores_[shard]->set_retention_hold([this, shard](const partition_log& log) -> std::optional<offset> {
    if (!is_followed(log.id())) return std::nullopt;
    return offset(stores_[shard]->cursor({follower_id, log.id()}).value_or(0));
  });
  auto checked = is_disk_damaged ? read_damaged(shard) : check_shard(shard);
  co_await checked;
}

void life::derive(uint32_t shard, partition_log& log, const slice& stored) {
  for (int flow = 0; flow < flows; ++flow) {
    if (log.id().topic != id_of(flow)) continue;
    shard_store& store = *stores_[shard];
    partition_log* out = store.find({id_of(flow + flows), log.partition()});
    if (!out) return;
    const auto header = protocol::batch_header::load(stored.data());
    const protocol::checked_batch batch = make_batch("d:" + first_key(stored), 1, 32, header.max_timestamp);
    auto done = store.append(*out, batch, append_origin::derived);
    if (!done) {
      known_.fail("derived batch refused: {}", to_string(done.error()));
      return;
    }
    store.set_cursor({processor_id, log.id()}, header.next_offset());
    ++story_.outcome.derived;
  }
}

task<iobuf> life::read_everything(shard_store& store, topic_partition_id id) {
  iobuf all;
  offset from = store.find(id)->log_start();
  while (!is_over()) {
    partition_log* log = store.find(id);
    if (from >= log->high_watermark()) break;
    const read_request request{from, 16 * 1024, true, read_bound::high_watermark};
    auto got = co_await store.read(*log, request);
    log = store.find(id);
    if (!got && from < log->log_start()) {  // retention went by while this was reading
      all = iobuf();
      from = log->log_start();
      continue;
    }
    if (!got) {
      if (!disk().has_crashed())
        known_.fail("read {} at {}: {}", log->directory_name(), from, to_string(got.error()));
      break;
    }
    if (got->next <= from) {
      known_.fail("read {} at {} gives nothing", log->directory_name(), from);
      break;
    }
    for (const slice& piece : got->records.slices()) all.append(piece);
    from = got->next;
  }
  co_return all;
}

// What it has not read must be there.
void life::check_follower(shard_store& store, const partition_log& log) {
  if (!is_followed(log.id())) return;
  const int64_t cursor = store.cursor({follower_id, log.id()}).value_or(0);
  if (cursor < log.log_start().value())
    known_.fail("{}: a processor stands at {}, the log begins at {}", log.directory_name(), cursor,
                log.log_start());
}

// No crash may leave a block that differs from its checksum, nor one without.
void life::check_integrity(const shard_store& store) {
  const store_stats stats = store.stats();
  story_.outcome.compactions += stats.compactions;
  if (is_over() || (stats.damaged_blocks == 0 && stats.damaged_checksums == 0)) return;
  known_.fail("{} damaged blocks, {} damaged checksums", stats.damaged_blocks, stats.damaged_checksums);
}

// A processor far behind: reads on from its position, as far as records are certain.
task<void> life::follow_slowly(uint32_t shard, prng random) {
  shard_store& store = *stores_[shard];
  for (int i = 0; i < steps && !is_over(); ++i) {
    co_await reactor::current().sleep(std::chrono::microseconds(random.below(6'000)));
    if (is_over()) co_return;
    const uint64_t topic = first_followed_topic + random.below(followed_topics);
    const topic_partition_id id{id_of(topic), static_cast<int32_t>(random.below(partitions_per_topic))};
    partition_log* log = store.find(id);
    if (!log) continue;
    check_follower(store, *log);
    const offset from(store.cursor({follower_id, id}).value_or(0));
    if (from >= log->high_watermark()) continue;
    const read_request request{from, 16 * 1024, true, read_bound::high_watermark};
    auto got = co_await store.read(*log, request);
    if (is_over()) co_return;
    if (!got) {
      known_.fail("a processor cannot read {} at {}: {}", id.topic.to_string(), from, to_string(got.error()));
      co_return;
    }
    store.set_cursor({follower_id, id}, got->next.value());
  }
}

task<void> life::check_shard(uint32_t shard) {
  shard_store& store = *stores_[shard];
  std::vector<topic_partition_id> ids;
  store.for_each([&ids](partition_log& log) { ids.push_back(log.id()); });
  std::sort(ids.begin(), ids.end());
  std::map<topic_partition_id, std::vector<batch_seen>> contents;
  for (const topic_partition_id& id : ids) {
    const iobuf read = co_await read_everything(store, id);
    if (is_over()) co_return;
    const partition_log* log = store.find(id);
    check_follower(store, *log);
    const int64_t start = log->log_start().value();
    const int64_t watermark = log->high_watermark().value();
    const int64_t end = log->log_end().value();
    bool is_whole = true;
    if (is_compacted(id.topic)) {
      const int64_t held_from =
          is_followed(id) ? store.cursor({follower_id, id}).value_or(0) : std::numeric_limits<int64_t>::max();
      is_whole =
          known_.compare(id, records_of(read), start, watermark, end, keeps_tombstones(id.topic), held_from);
    } else {
      contents[id] = batches_of(read);
      is_whole = known_.compare(id, contents[id], start, watermark, end);
    }
    if (is_whole) continue;
    // Producers whose acknowledged batches went with the end of the log begin anew.
    for (producer& p : story_.producers) {
      if (p.target != id) continue;
      p.id = static_cast<int64_t>(1'000 + story_.names++);
      p.sequence = 0;
      p.last.reset();
    }
  }
  check_integrity(store);
  for (int flow = 0; flow < flows; ++flow) {
    for (int32_t p = 0; p < partitions_per_topic; ++p) {
      const topic_partition_id in{id_of(flow), p};
      const topic_partition_id out{id_of(flow + flows), p};
      if (!contents.contains(in)) continue;
      if (!contents.contains(out)) {
        known_.fail("input and output of flow {} are on different shards", flow);
        co_return;
      }
      const auto& input = contents[in];
      const auto& output = contents[out];
      if (input.size() != output.size())
        known_.fail("flow {} partition {}: {} inputs, {} outputs", flow, p, input.size(), output.size());
      for (size_t i = 0; i < input.size() && i < output.size(); ++i)
        if (output[i].name != "d:" + input[i].name)
          known_.fail("flow {} partition {}: {} was derived where {} came in", flow, p, output[i].name,
                      input[i].name);
      const auto cursor = store.cursor({processor_id, in});
      const int64_t end = input.empty() ? 0 : input.back().next;
      if (cursor.value_or(0) != end)
        known_.fail("flow {} partition {}: cursor {}, input ends at {}", flow, p, cursor.value_or(0), end);
    }
  }
}

task<void> life::read_damaged(uint32_t shard) {
  shard_store& store = *stores_[shard];
  std::vector<topic_partition_id> ids;
  store.for_each([&ids](partition_log& log) { ids.push_back(log.id()); });
  std::sort(ids.begin(), ids.end());
  for (const topic_partition_id& id : ids) {
    const auto& certain = known_.partitions[id].certain;
    const bool is_synced = story_.durability_of(id.topic) == durability::sync;
    for (offset from = store.find(id)->log_start(); from < store.find(id)->high_watermark() && !is_over();) {
      const read_request request{from, 1, true, read_bound::high_watermark};
      auto got = co_await store.read(*store.find(id), request);
      if (const offset start = store.find(id)->log_start(); !got && from < start) {
        from = start;
        continue;
      }
      if (!got && got.error().code != errc::corruption)
        known_.fail("read {} at {}: {}", id.topic.to_string(), from, to_string(got.error()));
      if (!got) {
        ++story_.outcome.hidden;
        from = from.next();
        continue;
      }
      if (is_compacted(id.topic)) {
        for (const record_seen& r : records_of(got->records)) {
          const auto there = known_.partitions[id].records.find(r.offset);
          const bool is_other = is_synced && there != known_.partitions[id].records.end() &&
                                (there->second.key != r.key || there->second.digest != r.digest);
          if (r.key == "broken" || is_other)
            known_.fail("a flipped bit was served at {} of {}", r.offset, id.topic.to_string());
        }
        from = std::max(got->next, from.next());
        continue;
      }
      for (const batch_seen& batch : batches_of(got->records)) {
        const auto there = certain.find(batch.base);
        const bool is_other = is_synced && there != certain.end() && there->second.digest != 0 &&
                              there->second.digest != batch.digest;
        if (batch.name == "broken" || is_other)
          known_.fail("a flipped bit was served at {} of {}", batch.base, id.topic.to_string());
      }
      if (got->next <= from) known_.fail("read {} at {} gives nothing", id.topic.to_string(), from);
      from = got->next;
    }
  }
}

task<void> life::run_on_damaged_disk() {
  is_disk_damaged = true;
  const bool opened = co_await open();
  if (!opened && !is_over()) known_.fail("a flipped bit in a segment keeps the broker from starting");
  if (!disk().has_crashed()) disk().crash_now();
  co_await close();
}

task<void> life::close() {
  disk().set_capacity(uint64_t{1} << 50);
  for (uint32_t shard = 0; shard < shards_; ++shard) {
    if (!stores_[shard]) continue;
    if (!is_disk_damaged) check_integrity(*stores_[shard]);
    auto closed = runtime::call_on(shard_id(shard), [this, shard]() -> task<result<void>> {
      auto outcome = co_await stores_[shard]->close();
      stores_[shard].reset();
      co_return outcome;
    });
    auto outcome = co_await closed;
    if (!outcome && !is_over()) known_.fail("closing shard {}: {}", shard, to_string(outcome.error()));
  }
  if (dir_) {
    auto outcome = co_await dir_->close();
    if (!outcome && !is_over()) known_.fail("closing: {}", to_string(outcome.error()));
    dir_.reset();
  }
}

task<void> life::run() {
  const bool opened = co_await open();
  if (opened && !is_over()) co_await work();
  // A power cut while nothing happens.
  if (!stops_cleanly && !disk().has_crashed()) disk().crash_now();
  co_await close();
}

}  // namespace millrace::sim_test
