#include "protocol/batch_check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "protocol/batch_builder.h"
#include "protocol/record.h"
#include "tests/protocol/fixture.h"

namespace millrace::protocol::testing {
namespace {

constexpr int64_t now_ms = 1'750'000'000'000;

// Settings of the topics in tests/system/malformed/table.py.
batch_rules rules_of(const std::string& topic) {
  batch_rules rules{.now_ms = now_ms};
  if (topic == "compacted") rules.is_compacted = true;
  if (topic == "append-time") rules.uses_append_time = true;
  if (topic == "small") rules.batch_bytes_max = 500;
  if (topic == "recent") rules.timestamp_before_max_ms = 3'600'000;
  if (topic == "gzip") rules.stored_codec = codec::gzip;
  if (topic == "uncompressed") rules.stored_codec = codec::none;
  return rules;
}

std::string indexes_of(const batch_error& error) {
  std::string out;
  for (const record_error& r : error.records)
    out += fmt::format("{}{}", out.empty() ? "" : ",", r.batch_index);
  return out.empty() ? "-" : out;
}

// What a stored batch has to be, whatever came in.
void expect_readable(const checked_batch& checked, const std::string& name) {
  buffer memory = buffer::allocate(checked.size_bytes());
  const mutable_bytes into(memory.data(), checked.size_bytes());
  store_batch(checked, 1000, 3, into);
  const auto header = parse_batch(into);
  ASSERT_TRUE(header) << name;
  EXPECT_TRUE(has_valid_crc(into)) << name;
  EXPECT_EQ(header->base_offset, 1000);
  EXPECT_EQ(header->leader_epoch, 3);
  EXPECT_EQ(header->attributes, checked.header.attributes);
  EXPECT_EQ(header->max_timestamp, checked.max_timestamp);
  EXPECT_EQ(header->uses_append_time(), checked.uses_append_time);
  const auto records = plain_records(slice(memory, 0, checked.size_bytes()), *header, size_t{1} << 20);
  ASSERT_TRUE(records) << name;
  record_iterator it(*records, header->record_count);
  int64_t latest = INT64_MIN;
  for (record_view r; it.next(r);) {
    EXPECT_EQ(r.offset_delta, it.index() - 1) << name;
    latest = std::max(latest, header->base_timestamp + r.timestamp_delta);
  }
  EXPECT_TRUE(it.status()) << name;
  // A producer that set the append-time bit has its max_timestamp believed, as Kafka does.
  if (!header->uses_append_time() && name != "append time bit")
    EXPECT_EQ(header->max_timestamp, latest) << name;
}

TEST(BatchCheck, AnswersAsKafkaDoes) {
  int compared = 0, same_as_kafka = 0;
  for (const auto& row : read_table("malformed.tsv")) {
    SCOPED_TRACE(row.at(0));
    const bool ours = row.at(5) != "=";
    const std::string code = ours ? row.at(5) : row.at(3);
    std::string refused = ours ? row.at(6) : row.at(4);
    batch_rules rules = rules_of(row.at(1));
    rules.produce_version = static_cast<int16_t>(std::stoi(row.at(2)));
    const slice records = row.at(7) == "null" ? slice{} : slice::copy_of(from_hex(row.at(7)));
    const auto checked = check_produced_batch(records, rules);
    ++compared;
    same_as_kafka += !ours;
    if (checked) {
      EXPECT_EQ("0", code);
      expect_readable(*checked, row.at(0));
    } else {
      EXPECT_EQ(std::to_string(kafka_code(checked.error().code)), code) << checked.error().message;
      // The list of refused records came with version 8.
      if (rules.produce_version >= 8) EXPECT_EQ(indexes_of(checked.error()), refused);
      EXPECT_FALSE(checked.error().message.empty());
    }
  }
  EXPECT_GE(compared, 200);
  EXPECT_GE(same_as_kafka, 185);
}

slice three_records(codec c = codec::none) {
  batch_builder builder;
  builder.add(now_ms, as_bytes("a"), as_bytes("1"));
  builder.add(now_ms + 20, as_bytes("b"), std::nullopt);
  builder.add(now_ms + 10, as_bytes("c"), as_bytes("3"));
  return builder.build({.compression = c, .producer_id = 5, .producer_epoch = 1, .base_sequence = 9});
}

TEST(BatchCheck, LeavesAGoodBatchWhereItIs) {
  const slice batch = three_records();
  const auto checked = check_produced_batch(batch, {.now_ms = now_ms});
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->bytes.data(), batch.data());
  EXPECT_EQ(checked->records.data(), batch.data() + batch_header_bytes);
  EXPECT_EQ(checked->max_timestamp, now_ms + 20);
  EXPECT_EQ(checked->max_timestamp_offset_delta, 1);
  EXPECT_TRUE(checked->has_null_value);
  EXPECT_EQ(checked->header.producer_id, 5);
  EXPECT_EQ(checked->header.last_sequence(), 11);

  std::vector<std::byte> stored(batch.size());
  store_batch(*checked, 100, 2, stored);
  EXPECT_TRUE(
      std::ranges::equal(bytes_view(stored).subspan(batch_at::magic), batch.view().subspan(batch_at::magic)));
}

TEST(BatchCheck, AppendTimeReplacesTheProducersTimes) {
  const slice batch = three_records(codec::zstd);
  const auto checked = check_produced_batch(batch, {.uses_append_time = true, .now_ms = now_ms + 5000});
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->bytes.data(), batch.data());
  std::vector<std::byte> stored(batch.size());
  store_batch(*checked, 0, 0, stored);
  const auto header = parse_batch(stored);
  EXPECT_TRUE(header->uses_append_time());
  EXPECT_EQ(header->max_timestamp, now_ms + 5000);
  EXPECT_EQ(header->compression(), codec::zstd);
  EXPECT_TRUE(has_valid_crc(stored));
}

TEST(BatchCheck, TakesTheBatchToTheTopicsCodec) {
  for (const codec from : {codec::none, codec::gzip, codec::lz4}) {
    for (const codec to : {codec::none, codec::snappy, codec::lz4, codec::zstd}) {
      const auto checked = check_produced_batch(three_records(from), {.now_ms = now_ms, .stored_codec = to});
      ASSERT_TRUE(checked) << checked.error().message;
      EXPECT_EQ(checked->header.compression(), to);
      EXPECT_EQ(checked->header.producer_id, 5);
      EXPECT_EQ(checked->header.base_sequence, 9);
      EXPECT_EQ(checked->header.last_sequence(), 11);
      EXPECT_EQ(checked->max_timestamp_offset_delta, 1);
      expect_readable(*checked, "recompressed");
    }
  }
}

TEST(BatchCheck, RefusesBombsAndSegmentsTooSmall) {
  batch_builder builder;
  builder.add(now_ms, std::nullopt, std::vector<std::byte>(10 << 20));
  const slice bomb = builder.build({.compression = codec::gzip});
  const auto refused = check_produced_batch(bomb, {.plain_bytes_max = 1 << 20, .now_ms = now_ms});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::message_too_large);
  EXPECT_TRUE(check_produced_batch(bomb, {.now_ms = now_ms}));

  const auto too_large = check_produced_batch(three_records(), {.segment_bytes = 50, .now_ms = now_ms});
  ASSERT_FALSE(too_large);
  EXPECT_EQ(too_large.error().code, errc::record_list_too_large);
  // Small as sent, too large as stored.
  const auto grown = check_produced_batch(bomb, {.now_ms = now_ms, .stored_codec = codec::none});
  ASSERT_FALSE(grown);
  EXPECT_EQ(grown.error().code, errc::message_too_large);
}

TEST(BatchCheck, TransactionalBatchesNeedATransactionalId) {
  batch_builder builder;
  builder.add(now_ms, std::nullopt, as_bytes("v"));
  const slice batch = builder.build({.producer_id = 1,
                                     .producer_epoch = 0,
                                     .base_sequence = 0,
                                     .attributes = batch_attributes::transactional});
  const auto refused = check_produced_batch(batch, {.now_ms = now_ms});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::transactional_id_authorization_failed);
  const auto taken = check_produced_batch(batch, {.has_transactional_id = true, .now_ms = now_ms});
  ASSERT_TRUE(taken);
  EXPECT_TRUE(taken->header.is_transactional());
}

TEST(BatchCheck, BelievesTheBrokersOwnBatches) {
  const slice batch = three_records();
  const checked_batch trusted = trusted_batch(batch);
  EXPECT_EQ(trusted.max_timestamp, now_ms + 20);
  EXPECT_EQ(trusted.max_timestamp_offset_delta, 1);
  EXPECT_EQ(trusted.record_count(), 3);
  expect_readable(trusted, "trusted");
}

}  // namespace
}  // namespace millrace::protocol::testing
