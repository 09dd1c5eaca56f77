#include "protocol/record_batch.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/checksum.h"
#include "base/prng.h"
#include "protocol/batch_builder.h"
#include "protocol/record.h"
#include "tests/protocol/fixture.h"

namespace millrace::protocol::testing {
namespace {

constexpr codec all_codecs[] = {codec::none, codec::gzip, codec::snappy, codec::lz4, codec::zstd};
constexpr size_t plenty = size_t{64} << 20;

struct plain_record {
  int64_t timestamp;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;

  bool operator==(const plain_record&) const = default;
};

std::optional<bytes_view> view_of(const std::optional<std::string>& text) {
  return text ? std::optional(as_bytes(*text)) : std::nullopt;
}

std::optional<std::string> text_of(const std::optional<bytes_view>& bytes) {
  return bytes ? std::optional(std::string(as_text(*bytes))) : std::nullopt;
}

void add(batch_builder& builder, const plain_record& record) {
  std::vector<record_header_view> headers;
  for (const auto& [key, value] : record.headers) headers.push_back({key, view_of(value)});
  builder.add(record.timestamp, view_of(record.key), view_of(record.value), headers);
}

std::vector<plain_record> read_back(const slice& batch) {
  std::vector<plain_record> out;
  const auto header = parse_batch(batch);
  EXPECT_TRUE(header) << to_string(header.error());
  EXPECT_TRUE(has_valid_crc(batch));
  const auto records = plain_records(batch, *header, plenty);
  EXPECT_TRUE(records) << to_string(records.error());
  record_iterator it(*records, header->record_count);
  for (record_view r; it.next(r);) {
    EXPECT_EQ(r.offset_delta, it.index() - 1);
    plain_record& plain = out.emplace_back();
    plain.timestamp = header->base_timestamp + r.timestamp_delta;
    plain.key = text_of(r.key);
    plain.value = text_of(r.value);
    header_iterator headers(r);
    for (record_header_view h; headers.next(h);) plain.headers.emplace_back(h.key, text_of(h.value));
  }
  EXPECT_TRUE(it.status()) << to_string(it.status().error());
  return out;
}

std::vector<plain_record> random_records(prng& random) {
  std::vector<plain_record> records(1 + random.below(50));
  auto text = [&] { return std::string(random.below(random.one_in(10) ? 2000 : 20), 'z'); };
  auto nullable = [&] { return random.one_in(4) ? std::nullopt : std::optional(text()); };
  for (plain_record& r : records) {
    r.timestamp = 1'700'000'000'000 + random.between(-1'000'000, 1'000'000);
    r.key = nullable();
    r.value = nullable();
    for (uint64_t n = random.below(3); n > 0; --n) r.headers.emplace_back(text(), nullable());
  }
  return records;
}

TEST(RecordBatch, GivesBackWhatTheBuilderGot) {
  prng random(announced_seed());
  batch_builder builder;
  for (int round = 0; round < 200; ++round) {
    const auto records = random_records(random);
    for (const auto& r : records) add(builder, r);
    const slice batch = builder.build({.compression = all_codecs[random.below(5)], .base_offset = 77});
    EXPECT_EQ(read_back(batch), records);
    EXPECT_EQ(parse_batch(batch)->last_offset(), 77 + static_cast<int64_t>(records.size()) - 1);
    EXPECT_TRUE(builder.empty());
  }
}

TEST(RecordBatch, HasItsFieldsWhereKafkaHasThem) {
  batch_builder builder;
  builder.add(1000, as_bytes("k"), as_bytes("v"));
  const slice batch = builder.build(
      {.base_offset = 1, .leader_epoch = 2, .producer_id = 3, .producer_epoch = 4, .base_sequence = 5});
  const std::string covered =
      "0000"
      "00000000"
      "00000000000003e8"
      "00000000000003e8"
      "0000000000000003"
      "0004"
      "00000005"
      "00000001"
      "10"
      "00"
      "00"
      "00"
      "026b"
      "0276"
      "00";
  EXPECT_EQ(to_hex(batch), fmt::format("0000000000000001"
                                       "0000003a"
                                       "00000002"
                                       "02"
                                       "{:08x}{}",
                                       crc32c(from_hex(covered)), covered));
  EXPECT_EQ(batch_header::load(batch.data()).size_bytes(), batch.size());
}

TEST(RecordBatch, StoresAndLoadsEveryHeaderField) {
  const batch_header header{.base_offset = 1,
                            .batch_length = 2,
                            .leader_epoch = 3,
                            .magic = 4,
                            .crc = 5,
                            .attributes = 6,
                            .last_offset_delta = 7,
                            .base_timestamp = 8,
                            .max_timestamp = 9,
                            .producer_id = 10,
                            .producer_epoch = 11,
                            .base_sequence = 12,
                            .record_count = 13};
  std::byte bytes[batch_header_bytes];
  header.store(bytes);
  EXPECT_EQ(batch_header::load(bytes), header);
}

TEST(RecordBatch, OffsetAndEpochChangeWithoutTheCrcAndTimesWithIt) {
  batch_builder builder;
  builder.add(1000, std::nullopt, as_bytes("v"));
  const slice built = builder.build({});
  std::vector<std::byte> batch(built.view().begin(), built.view().end());
  set_base_offset(batch, 1234);
  set_leader_epoch(batch, 9);
  EXPECT_TRUE(has_valid_crc(batch));
  set_append_time(batch, 5000);
  EXPECT_TRUE(has_valid_crc(batch));
  const auto header = parse_batch(batch);
  EXPECT_EQ(header->base_offset, 1234);
  EXPECT_EQ(header->leader_epoch, 9);
  EXPECT_EQ(header->max_timestamp, 5000);
  EXPECT_TRUE(header->uses_append_time());
  batch.back() ^= std::byte{1};
  EXPECT_FALSE(has_valid_crc(batch));
}

TEST(RecordBatch, SequencesWrapToZero) {
  batch_header header;
  header.base_sequence = INT32_MAX - 1;
  header.last_offset_delta = 3;
  EXPECT_EQ(header.last_sequence(), 1);
  header.last_offset_delta = 1;
  EXPECT_EQ(header.last_sequence(), INT32_MAX);
}

TEST(RecordBatch, IsRefusedWhenTheHeaderIsImpossible) {
  batch_builder builder;
  builder.add(1000, std::nullopt, as_bytes("v"));
  const slice good = builder.build({});
  auto error_of = [&](size_t at, auto value) {
    std::vector<std::byte> batch(good.view().begin(), good.view().end());
    store_be(batch.data() + at, value);
    const auto parsed = parse_batch(batch);
    return parsed ? "fine" : parsed.error().message;
  };
  EXPECT_EQ(error_of(batch_at::magic, int8_t{1}), "batch of unknown format 1");
  EXPECT_EQ(error_of(batch_at::batch_length, 48), "impossible batch length 48");
  EXPECT_EQ(error_of(batch_at::batch_length, -1), "impossible batch length -1");
  EXPECT_EQ(error_of(batch_at::batch_length, INT32_MAX),
            fmt::format("batch of {} bytes is cut off at {}", INT32_MAX + size_t{12}, good.size()));
  EXPECT_EQ(error_of(batch_at::attributes, int16_t{7}), "unknown codec in attributes 7");
  EXPECT_NE(error_of(batch_at::record_count, -1), "fine");
  EXPECT_NE(error_of(batch_at::last_offset_delta, -1), "fine");
  EXPECT_NE(error_of(batch_at::base_offset, INT64_MAX), "fine");
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(parse_batch(good.view().first(size)));
}

TEST(RecordIterator, StopsAtTheFirstBrokenRecordAndSaysWhere) {
  batch_builder builder;
  for (int i = 0; i < 3; ++i) builder.add(1000, as_bytes("k"), as_bytes("v"));
  const slice batch = builder.build({});
  const bytes_view records = batch.view().subspan(batch_header_bytes);
  auto error_of = [](bytes_view bytes, int32_t count) {
    record_iterator it(bytes, count);
    for (record_view r; it.next(r);) continue;
    const auto status = it.status();
    return status ? "fine" : status.error().message;
  };
  EXPECT_EQ(error_of(records, 3), "fine");
  EXPECT_EQ(error_of(records, 2), "record 2 of 2 at byte 18: bytes are left behind the last record");
  EXPECT_EQ(error_of(records, 4), "record 3 of 4 at byte 27: impossible length");
  EXPECT_EQ(error_of(records, -1), "record 0 of -1 at byte 0: negative count");
  std::vector<std::byte> broken(records.begin(), records.end());
  broken[9 + 4] = std::byte{0x7f};
  EXPECT_EQ(error_of(broken, 3), "record 1 of 3 at byte 9: impossible key length");
  for (size_t size = 0; size < records.size(); ++size)
    EXPECT_NE(error_of(records.first(size), 3), "fine") << size;
}

TEST(RecordIterator, SurvivesAnyChangeOfAnyByte) {
  batch_builder builder;
  const record_header_view headers[] = {{"h", as_bytes("x")}, {"", std::nullopt}};
  for (int i = 0; i < 3; ++i) builder.add(1000 + i, as_bytes("key"), std::nullopt, headers);
  const slice batch = builder.build({});
  const bytes_view records = batch.view().subspan(batch_header_bytes);
  for (size_t at = 0; at < records.size(); ++at) {
    for (int replacement = 0; replacement < 256; ++replacement) {
      std::vector<std::byte> broken(records.begin(), records.end());
      broken[at] = static_cast<std::byte>(replacement);
      const slice exact = slice::copy_of(broken);
      record_iterator it(exact, 3);
      for (record_view r; it.next(r);) {
        header_iterator walk(r);
        int32_t seen = 0;
        for (record_header_view h; walk.next(h);) ++seen;
        EXPECT_EQ(seen, r.header_count);
      }
    }
  }
}

// Made by Kafka's own library: tests/data/protocol/MakeBatches.java.
TEST(RecordBatch, ReadsWhatKafkasOwnLibraryWrote) {
  const auto rows = read_table("java_batches.tsv");
  ASSERT_FALSE(rows.empty());
  for (const auto& row : rows) {
    SCOPED_TRACE(row.at(0));
    const slice batch = slice::copy_of(from_hex(row.at(1)));
    const auto header = parse_batch(batch);
    ASSERT_TRUE(header) << to_string(header.error());
    EXPECT_EQ(name_of(header->compression()), row.at(0).substr(0, row.at(0).find(' ')));
    const auto records = read_back(batch);
    ASSERT_EQ(records.size(), 40u);
    for (size_t i = 0; i < records.size(); ++i) {
      const plain_record& r = records[i];
      const int64_t n = static_cast<int64_t>(i);
      EXPECT_EQ(r.timestamp, 1'700'000'000'000 + (n % 2 ? -n : n) * 1000);
      EXPECT_EQ(r.key, i % 3 == 0 ? std::nullopt : std::optional(fmt::format("key-{}", i)));
      EXPECT_EQ(r.value, i % 7 == 6 ? std::nullopt
                                    : std::optional(std::string(i * 11, static_cast<char>('a' + i % 26))));
      ASSERT_EQ(r.headers.size(), i % 4);
      for (size_t h = 0; h < r.headers.size(); ++h) {
        EXPECT_EQ(r.headers[h].first, fmt::format("h{}", h));
        EXPECT_EQ(r.headers[h].second, h == 1 ? std::nullopt : std::optional(fmt::format("value {}", h)));
      }
    }
  }
}

}  // namespace
}  // namespace millrace::protocol::testing
