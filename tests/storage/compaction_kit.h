// compaction_kit: a compacted partition on a simulated disk, with a record of all that was ever appended to
// it.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/fs.h"
#include "runtime/reactor.h"
#include "runtime/sim/world.h"
#include "tests/storage/fixture.h"

namespace millrace::storage {

struct keyed {
  std::string key;
  std::optional<std::string> value;
  bool operator==(const keyed&) const = default;
};

inline protocol::checked_batch make_keyed_batch(const std::vector<keyed>& records, int64_t timestamp_ms,
                                                protocol::codec compression = protocol::codec::none,
                                                producer_stamp producer = {}) {
  protocol::batch_builder builder;
  for (const keyed& r : records) {
    std::optional<bytes_view> value;
    if (r.value) value = as_bytes(*r.value);
    builder.add(timestamp_ms, as_bytes(r.key), value);
  }
  protocol::batch_options options{.compression = compression};
  options.producer_id = producer.id;
  options.producer_epoch = producer.epoch;
  options.base_sequence = producer.sequence;
  const slice batch = builder.build(options);
  const auto header = protocol::batch_header::load(batch.data());
  auto plain = protocol::plain_records(batch, header, 64 << 20);
  return protocol::trusted_batch(batch, *plain);
}

// Records by offset.
using contents = std::map<int64_t, keyed>;

inline void add_records(contents& to, const iobuf& records) {
  for (const slice& piece : records.slices()) {
    for (size_t at = 0; at < piece.size();) {
      const auto header = protocol::batch_header::load(piece.data() + at);
      const slice batch = piece.sub(at, header.size_bytes());
      at += header.size_bytes();
      EXPECT_TRUE(protocol::has_valid_crc(batch));
      auto plain = protocol::plain_records(batch, header, 64 << 20);
      EXPECT_TRUE(plain);
      protocol::record_iterator it(*plain, header.record_count);
      for (protocol::record_view r; it.next(r);) {
        keyed record{std::string(as_text(*r.key)), std::nullopt};
        if (r.value) record.value = std::string(as_text(*r.value));
        EXPECT_LE(r.offset_delta, header.last_offset_delta);
        EXPECT_TRUE(to.emplace(header.base_offset + r.offset_delta, std::move(record)).second);
      }
      EXPECT_TRUE(it.status());
    }
  }
}

inline std::map<std::string, std::string> values_of(const contents& records) {
  std::map<std::string, std::string> values;
  for (const auto& [at, r] : records) {
    if (r.value) {
      values[r.key] = *r.value;
    } else {
      values.erase(r.key);
    }
  }
  return values;
}

// One store with one compacted partition.
struct compacted_subject {
  explicit compacted_subject(partition_config config) {
    config.is_compacted = true;
    config.retention_ms = -1;
    spec = make_spec(1, 0, config);
    options.compaction_interval = std::chrono::seconds(1);
    options.retention_check_interval = std::chrono::seconds(1);
  }

  runtime::task<void> open() {
    auto made = co_await runtime::fs::make_directories("/data");
    EXPECT_TRUE(made);
    std::vector<partition_spec> specs{spec};
    auto opened = co_await shard_store::open(options, std::move(specs));
    EXPECT_TRUE(opened) << to_string(opened.error());
    if (opened) store = *std::move(opened);
  }
  runtime::task<void> append(std::vector<keyed> records, protocol::codec codec = protocol::codec::none,
                             producer_stamp producer = {}) {
    auto admitted = co_await store->admit(4'000);
    EXPECT_TRUE(admitted);
    const auto batch = make_keyed_batch(records, now_ms(), codec, producer);
    const auto done = store->append(*log(), batch, append_origin::client);
    EXPECT_TRUE(done) << to_string(done.error());
    int64_t at = done->base_offset.value();
    for (keyed& r : records) appended[at++] = std::move(r);
    auto durable = co_await store->wait_durable(done->durable_at);
    EXPECT_TRUE(durable);
  }
  runtime::task<void> wait(std::chrono::nanoseconds time) {
    co_await runtime::reactor::current().sleep(time);
  }
  // Ends the active segment: `bytes` of records of a key that nothing else has.
  runtime::task<void> fill(size_t bytes) {
    for (size_t left = bytes; left > 0;) {
      const size_t step = std::min<size_t>(left, 1'000);
      std::vector<keyed> filler{{"filler", std::string(step, 'f')}};
      co_await append(std::move(filler));
      left -= step;
    }
  }
  runtime::task<contents> read(offset from = offset(0)) {
    contents found;
    while (from < log()->high_watermark()) {
      const read_request request{from, 4'096, true, read_bound::high_watermark};
      auto got = co_await store->read(*log(), request);
      EXPECT_TRUE(got) << to_string(got.error());
      if (!got) break;
      EXPECT_GT(got->next, from);
      if (got->next <= from) break;
      add_records(found, got->records);
      from = got->next;
    }
    co_return found;
  }
  // What is there was appended there, and each key has its newest value.
  runtime::task<contents> check() {
    contents found = co_await read(log()->log_start());
    for (const auto& [at, record] : found) {
      const auto there = appended.find(at);
      EXPECT_TRUE(there != appended.end() && there->second == record) << at;
    }
    EXPECT_EQ(values_of(found), values_of(appended));
    co_return found;
  }
  runtime::task<void> close() {
    auto closed = co_await store->close();
    EXPECT_TRUE(closed);
    store.reset();
  }
  runtime::task<void> restart() {
    co_await close();
    co_await open();
  }
  partition_log* log() const { return store->find(spec.id); }
  static int64_t now_ms() { return runtime::reactor::current().wall_clock_ms(); }

  partition_spec spec;
  store_options options = small_options("/data");
  std::unique_ptr<shard_store> store;
  contents appended;
};

}  // namespace millrace::storage
