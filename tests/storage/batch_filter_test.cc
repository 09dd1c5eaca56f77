// What compaction keeps, batch by batch: Kafka's rules, byte for byte where nothing goes.
#include "storage/log/batch_filter.h"

#include <gtest/gtest.h>

#include "storage/log/key_map.h"
#include "tests/storage/compaction_kit.h"

namespace millrace::storage {
namespace {

constexpr int64_t now_ms = 1'000'000;
constexpr int64_t kept_ms = 10'000;

slice stored(const protocol::checked_batch& batch, int64_t base) {
  buffer memory = buffer::allocate(batch.size_bytes());
  protocol::store_batch(batch, base, 3, mutable_bytes(memory.data(), batch.size_bytes()));
  return slice(std::move(memory), 0, batch.size_bytes());
}

struct subject {
  explicit subject(int64_t at_ms = now_ms, uint64_t keys_max = 1'000) : keys(keys_max, 1 << 20, 0.9, 7) {
    rules.now_ms = at_ms;
    rules.delete_retention_ms = kept_ms;
  }
  // All of them, gathered from `from` on.
  std::vector<std::byte> run(const std::vector<slice>& batches, int64_t from = 0) {
    filter.emplace(rules, keys);
    for (const slice& b : batches) {
      auto more = filter->gather(b, offset(from));
      EXPECT_TRUE(more);
      if (!more || !*more) break;
    }
    std::vector<std::byte> out;
    for (const slice& b : batches) EXPECT_TRUE(filter->filter(b, out));
    return out;
  }

  filter_rules rules;
  key_map keys;
  std::optional<batch_filter> filter;
};

std::vector<protocol::batch_header> headers_of(bytes_view bytes) {
  std::vector<protocol::batch_header> headers;
  for (size_t at = 0; at < bytes.size(); at += headers.back().size_bytes()) {
    headers.push_back(protocol::batch_header::load(bytes.data() + at));
    EXPECT_TRUE(protocol::has_valid_crc(bytes.subspan(at, headers.back().size_bytes())));
  }
  return headers;
}

contents contents_of(bytes_view bytes) {
  contents found;
  iobuf all;
  all.append(slice::copy_of(bytes));
  add_records(found, all);
  return found;
}

TEST(key_map, knows_the_newest_of_each_key_within_its_memory) {
  key_map map(100'000, 1'000 * key_map_entry_bytes, 0.9, 5);
  EXPECT_EQ(map.keys_max(), 900u);
  for (int64_t i = 0; i < 900; ++i) {
    const std::string key = fmt::format("key{}", i);
    EXPECT_TRUE(map.put(as_bytes(key), offset(i)));
  }
  EXPECT_FALSE(map.put(as_bytes(std::string("one more")), offset(900)));
  EXPECT_TRUE(map.put(as_bytes(std::string("key17")), offset(901)));
  EXPECT_EQ(map.newest(as_bytes(std::string("key17"))), offset(901));
  EXPECT_EQ(map.newest(as_bytes(std::string("key899"))), offset(899));
  EXPECT_EQ(map.newest(as_bytes(std::string("one more"))), no_offset);
  EXPECT_EQ(map.newest(as_bytes(std::string())), no_offset);
  EXPECT_EQ(map.size(), 900u);
}

TEST(batch_filter, superseded_records_go_and_the_rest_stays_where_it_was) {
  for (const protocol::codec codec : {protocol::codec::none, protocol::codec::gzip, protocol::codec::snappy,
                                      protocol::codec::lz4, protocol::codec::zstd}) {
    subject s;
    const std::vector<slice> batches{
        stored(make_keyed_batch({{"a", "1"}, {"b", "1"}, {"c", "1"}}, 500, codec), 10),
        stored(make_keyed_batch({{"d", "1"}}, 600, codec), 13),
        stored(make_keyed_batch({{"a", "2"}, {"a", "3"}, {"c", "2"}}, 700, codec), 14),
        stored(make_keyed_batch({{"e", "1"}}, 800, codec), 17)};
    const std::vector<std::byte> out = s.run(batches);
    const contents expected{
        {11, {"b", "1"}}, {13, {"d", "1"}}, {15, {"a", "3"}}, {16, {"c", "2"}}, {17, {"e", "1"}}};
    EXPECT_EQ(contents_of(out), expected);
    const auto headers = headers_of(out);
    ASSERT_EQ(headers.size(), 4u);
    EXPECT_EQ(headers[0].base_offset, 10);
    EXPECT_EQ(headers[0].last_offset(), 12);
    EXPECT_EQ(headers[0].record_count, 1);
    EXPECT_EQ(headers[0].max_timestamp, 500);
    EXPECT_EQ(headers[0].leader_epoch, 3);
    EXPECT_EQ(headers[0].compression(), codec);
    EXPECT_TRUE(s.filter->has_changed());
    // What nothing was taken from is the same, byte for byte.
    EXPECT_TRUE(std::ranges::equal(bytes_view(out).last(batches[3].size()), batches[3].view()));
  }
}

TEST(batch_filter, nothing_to_take_changes_nothing) {
  subject s;
  const std::vector<slice> batches{stored(make_keyed_batch({{"a", "1"}, {"b", ""}}, 500), 0)};
  const auto out = s.run(batches);
  EXPECT_TRUE(std::ranges::equal(out, batches[0].view()));
  EXPECT_FALSE(s.filter->has_changed());
}

TEST(batch_filter, a_tombstone_is_stamped_then_kept_for_its_time_then_gone) {
  subject first;
  const std::vector<slice> batches{stored(make_keyed_batch({{"a", "1"}}, 500), 0),
                                   stored(make_keyed_batch({{"b", "1"}, {"a", std::nullopt}}, 600), 1)};
  const auto out = first.run(batches);
  EXPECT_EQ(contents_of(out), (contents{{1, {"b", "1"}}, {2, {"a", std::nullopt}}}));
  const auto headers = headers_of(out);
  ASSERT_EQ(headers.size(), 1u);
  EXPECT_TRUE(headers[0].has_delete_horizon());
  EXPECT_EQ(headers[0].base_timestamp, now_ms + kept_ms);
  EXPECT_EQ(headers[0].max_timestamp, 600);

  // Records' own times are what they were.
  const slice again = slice::copy_of(out);
  protocol::record_iterator it(*protocol::plain_records(again, headers[0], 1 << 20), 2);
  protocol::record_view record;
  ASSERT_TRUE(it.next(record));
  EXPECT_EQ(headers[0].base_timestamp + record.timestamp_delta, 600);

  subject early(now_ms + kept_ms - 1);
  EXPECT_TRUE(std::ranges::equal(early.run({again}), out));
  subject late(now_ms + kept_ms);
  EXPECT_EQ(contents_of(late.run({again})), (contents{{1, {"b", "1"}}}));
}

TEST(batch_filter, the_last_batch_of_a_producer_stays_without_its_records) {
  subject s;
  s.rules.last_of_producer[77] = 4;
  const producer_stamp producer{.id = 77, .epoch = 2, .sequence = 8};
  const producer_stamp earlier{.id = 77, .epoch = 2, .sequence = 6};
  const std::vector<slice> batches{
      stored(make_keyed_batch({{"a", "0"}, {"b", "0"}}, 400, protocol::codec::none, earlier), 0),
      stored(make_keyed_batch({{"a", "1"}, {"b", "1"}, {"c", "1"}}, 500, protocol::codec::lz4, producer), 2),
      stored(make_keyed_batch({{"a", "2"}, {"b", "2"}, {"c", "2"}}, 600), 5)};
  const auto out = s.run(batches);
  const auto headers = headers_of(out);
  ASSERT_EQ(headers.size(), 2u);
  EXPECT_EQ(headers[0].size_bytes(), protocol::batch_header_bytes);
  EXPECT_EQ(headers[0].record_count, 0);
  EXPECT_EQ(headers[0].base_offset, 2);
  EXPECT_EQ(headers[0].last_offset(), 4);
  EXPECT_EQ(headers[0].producer_id, 77);
  EXPECT_EQ(headers[0].producer_epoch, 2);
  EXPECT_EQ(headers[0].base_sequence, 8);
  EXPECT_EQ(headers[0].last_sequence(), 10);
  EXPECT_EQ(headers[0].compression(), protocol::codec::none);
  // And again it is what it is.
  subject again;
  again.rules.last_of_producer[77] = 4;
  EXPECT_TRUE(std::ranges::equal(again.run({slice::copy_of(out)}), out));
}

TEST(batch_filter, keys_count_from_where_they_are_gathered) {
  subject s;
  const std::vector<slice> batches{stored(make_keyed_batch({{"a", "1"}, {"b", "1"}}, 1), 0),
                                   stored(make_keyed_batch({{"b", "2"}, {"a", "2"}}, 1), 2)};
  // Below 3 nothing is gathered: b at 2 is not known to supersede b at 0.
  EXPECT_EQ(contents_of(s.run(batches, 3)), (contents{{1, {"b", "1"}}, {2, {"b", "2"}}, {3, {"a", "2"}}}));
}

TEST(batch_filter, what_finds_no_room_stays) {
  subject s(now_ms, 2);
  const std::vector<slice> batches{
      stored(make_keyed_batch({{"a", "1"}, {"b", "1"}, {"a", "2"}}, 1), 0),
      stored(make_keyed_batch({{"b", "2"}, {"x", "1"}, {"x", "2"}, {"a", "3"}}, 1), 3)};
  key_map small(2, 1 << 20, 0.9, 1);
  const uint64_t room = small.keys_max();
  ASSERT_LE(room, 3u);
  const contents found = contents_of(s.run(batches));
  const offset end = s.filter->gathered_end();
  for (int64_t at = end.value(); at < 7; ++at) EXPECT_TRUE(found.contains(at)) << at;
  EXPECT_FALSE(found.contains(0));
  EXPECT_TRUE(found.contains(6));
}

slice marker(int64_t producer, int16_t type, int64_t base) {
  protocol::batch_builder builder;
  std::byte key[4] = {std::byte{0}, std::byte{0}, std::byte{0}, static_cast<std::byte>(type)};
  std::byte value[6] = {};
  builder.add(500, bytes_view(key), bytes_view(value));
  const auto control = protocol::batch_attributes::control | protocol::batch_attributes::transactional;
  return builder.build({.base_offset = base,
                        .leader_epoch = 3,
                        .producer_id = producer,
                        .producer_epoch = 0,
                        .attributes = static_cast<int16_t>(control)});
}

slice in_transaction(const std::vector<keyed>& records, int64_t producer, int64_t base) {
  protocol::batch_builder builder;
  for (const keyed& r : records) builder.add(500, as_bytes(r.key), as_bytes(*r.value));
  return builder.build({.base_offset = base,
                        .leader_epoch = 3,
                        .producer_id = producer,
                        .producer_epoch = 0,
                        .base_sequence = 0,
                        .attributes = protocol::batch_attributes::transactional});
}

TEST(batch_filter, a_marker_stays_while_its_records_do_and_then_as_long_as_a_tombstone) {
  const std::vector<slice> all{in_transaction({{"a", "1"}}, 5, 0), marker(5, 1, 1),
                               in_transaction({{"b", "1"}}, 6, 2), marker(6, 1, 3),
                               stored(make_keyed_batch({{"a", "2"}}, 1), 4)};
  subject first;
  const auto out = first.run(all);
  auto headers = headers_of(out);
  ASSERT_EQ(headers.size(), 4u);
  EXPECT_EQ(headers[0].base_offset, 1);
  EXPECT_TRUE(headers[0].is_control() && headers[0].has_delete_horizon());
  EXPECT_EQ(headers[2].base_offset, 3);
  EXPECT_FALSE(headers[2].has_delete_horizon());
  subject later(now_ms + kept_ms);
  headers = headers_of(later.run({slice::copy_of(out)}));
  ASSERT_EQ(headers.size(), 3u);
  EXPECT_EQ(headers[0].base_offset, 2);
  EXPECT_EQ(headers[1].base_offset, 3);
}

TEST(batch_filter, a_log_with_an_aborted_transaction_is_left_alone) {
  subject s;
  batch_filter filter(s.rules, s.keys);
  ASSERT_TRUE(filter.gather(in_transaction({{"a", "1"}}, 5, 0), offset(0)));
  const auto refused = filter.gather(marker(5, 0, 1), offset(0));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::not_supported);
}

}  // namespace
}  // namespace millrace::storage
