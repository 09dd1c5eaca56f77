// fixture: batches to append, and stores to append them to, on a real directory or a simulated disk.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.h"
#include "protocol/batch_builder.h"
#include "protocol/batch_check.h"
#include "protocol/record.h"
#include "runtime/task.h"
#include "storage/shard_store.h"

namespace millrace::storage {

struct producer_stamp {
  int64_t id = -1;
  int16_t epoch = -1;
  int32_t sequence = -1;
};

// `records` records with values of about `value_bytes`; the first key is `name`.
inline protocol::checked_batch make_batch(const std::string& name, int records = 1, size_t value_bytes = 100,
                                          int64_t timestamp_ms = 1'000, producer_stamp producer = {}) {
  protocol::batch_builder builder;
  const std::string value(value_bytes, static_cast<char>('a' + name.size() % 26));
  for (int i = 0; i < records; ++i) {
    const std::string key = i == 0 ? name : fmt::format("{}/{}", name, i);
    builder.add(timestamp_ms + i, as_bytes(key), as_bytes(value));
  }
  protocol::batch_options options;
  options.producer_id = producer.id;
  options.producer_epoch = producer.epoch;
  options.base_sequence = producer.sequence;
  return protocol::trusted_batch(builder.build(options));
}

inline uuid topic_id(uint64_t n) {
  uuid id;
  store_le<uint64_t>(id.bytes.data() + 8, n + 1);
  return id;
}

inline partition_spec make_spec(uint64_t topic, int32_t partition = 0, partition_config config = {}) {
  return {{topic_id(topic), partition}, fmt::format("topic{}", topic), 0, config};
}

// The first key of every batch in `records`, in order.
inline std::vector<std::string> first_keys(const iobuf& records) {
  std::vector<std::string> keys;
  for (const slice& piece : records.slices()) {
    for (size_t at = 0; at < piece.size();) {
      const auto header = protocol::batch_header::load(piece.data() + at);
      const slice batch = piece.sub(at, header.size_bytes());
      EXPECT_TRUE(protocol::has_valid_crc(batch));
      auto plain = protocol::plain_records(batch, header, 64 << 20);
      EXPECT_TRUE(plain) << to_string(plain.error());
      protocol::record_iterator it(*plain, header.record_count);
      protocol::record_view record;
      EXPECT_TRUE(it.next(record));
      keys.emplace_back(as_text(*record.key));
      at += header.size_bytes();
    }
  }
  return keys;
}

// Reads [from, high watermark) in steps; the first keys of all batches.
inline runtime::task<std::vector<std::string>> read_all(shard_store& store, topic_partition_id id,
                                                        offset from = offset(0), uint32_t step_bytes = 4096) {
  std::vector<std::string> keys;
  for (;;) {
    partition_log* log = store.find(id);
    EXPECT_NE(log, nullptr);
    if (!log || from >= log->high_watermark()) co_return keys;
    const read_request request{from, step_bytes, true, read_bound::high_watermark};
    auto got = co_await store.read(*log, request);
    EXPECT_TRUE(got) << to_string(got.error());
    if (!got) co_return keys;
    EXPECT_GT(got->next, from);
    if (got->next <= from) co_return keys;
    for (std::string& key : first_keys(got->records)) keys.push_back(std::move(key));
    from = got->next;
  }
}

inline store_options small_options(const std::string& data_dir) {
  store_options o;
  o.data_dir = data_dir;
  o.wal_file_bytes_min = 64 * limits::KiB;
  o.wal_file_bytes_max = 256 * limits::KiB;
  o.wal_bytes_max = 1 * limits::MiB;
  o.frame_bytes_target = 64 * limits::KiB;
  o.frame_bytes_max = 256 * limits::KiB;
  o.cache_bytes = 256 * limits::KiB;
  o.unspilled_bytes_max = 512 * limits::KiB;
  o.relog_bytes_max = 4 * limits::KiB;
  return o;
}

}  // namespace millrace::storage
