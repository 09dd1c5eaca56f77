// Stored batches as processors see them, and emissions as batches.
#include "processors/host/record_block.h"

#include <gtest/gtest.h>

#include "processors/host/derived_batches.h"
#include "protocol/batch_builder.h"
#include "tests/processors/processor_kit.h"

namespace millrace::processors {
namespace {

using kit::bytes;
using kit::text;

// Records 0 to count-1: value "v<i>", every third without key, headers on the odd ones.
slice make_batch(int count, protocol::codec compression, int64_t base_offset) {
  protocol::batch_builder builder;
  for (int i = 0; i < count; ++i) {
    const std::string value = fmt::format("v{}", i);
    const protocol::record_header_view header{"h", as_bytes(value)};
    const auto key = i % 3 == 0 ? std::nullopt : std::optional(as_bytes("k"));
    builder.add(5000 - i, key, as_bytes(value), std::span(&header, i % 2));
  }
  protocol::batch_options options;
  options.compression = compression;
  options.base_offset = base_offset;
  return builder.build(options);
}

TEST(record_block_test, records_have_their_offsets_times_and_headers_in_every_codec) {
  record_block block;
  for (const auto compression : {protocol::codec::none, protocol::codec::gzip, protocol::codec::snappy,
                                 protocol::codec::lz4, protocol::codec::zstd}) {
    ASSERT_TRUE(block.fill(make_batch(10, compression, 70)));
    EXPECT_EQ(block.next_offset(), 80);
    const auto bare = block.from(70, false);
    ASSERT_EQ(bare.size(), 10u);
    for (const millrace_record& r : bare) EXPECT_EQ(r.header_count, 0u);
    const auto full = block.from(73, true);
    ASSERT_EQ(full.size(), 7u);
    EXPECT_EQ(full[0].offset, 73);
    EXPECT_EQ(full[0].timestamp_ms, 4997);
    EXPECT_EQ(text(full[0].key), "<null>");
    EXPECT_EQ(text(full[0].value), "v3");
    ASSERT_EQ(full[0].header_count, 1u);
    EXPECT_EQ(text(full[0].headers[0].value), "v3");
    EXPECT_EQ(full[1].header_count, 0u);
  }
}

TEST(record_block_test, portions_are_bounded_and_never_empty) {
  record_block block;
  ASSERT_TRUE(block.fill(make_batch(10, protocol::codec::none, 0)));
  EXPECT_EQ(block.from(0, false, 1).size(), 1u);
  EXPECT_EQ(block.from(9, false, 100).size(), 1u);
  EXPECT_TRUE(block.from(10, false).empty());
}

TEST(record_block_test, append_time_batches_show_the_append_time) {
  slice batch = make_batch(2, protocol::codec::none, 0);
  protocol::set_append_time({batch.owner().data(), batch.size()}, 123456);
  record_block block;
  ASSERT_TRUE(block.fill(batch));
  for (const millrace_record& r : block.from(0, false)) EXPECT_EQ(r.timestamp_ms, 123456);
}

TEST(record_block_test, damaged_batches_are_errors) {
  record_block block;
  const slice whole = make_batch(3, protocol::codec::none, 0);
  EXPECT_FALSE(block.fill(whole.sub(0, whole.size() - 1)));
  EXPECT_FALSE(block.fill(whole.sub(0, 30)));
}

TEST(record_block_test, batches_that_follow_are_added_with_their_headers) {
  record_block block;
  ASSERT_TRUE(block.fill(make_batch(3, protocol::codec::none, 10)));
  ASSERT_TRUE(block.add(make_batch(2, protocol::codec::zstd, 13)));
  ASSERT_TRUE(block.add(make_batch(4, protocol::codec::none, 20)));  // compaction has taken what was between
  EXPECT_EQ(block.batch_count(), 3u);
  EXPECT_TRUE(block.is_intact());
  block.come_from(2);
  const auto all = block.from(10, true);
  ASSERT_EQ(all.size(), 9u);
  std::vector<int64_t> offsets;
  for (const millrace_record& r : all) {
    offsets.push_back(r.offset);
    EXPECT_EQ(r.input, 2u);
    ASSERT_EQ(r.header_count, text(r.value) == "v1" || text(r.value) == "v3" ? 1u : 0u);
    if (r.header_count == 1) EXPECT_EQ(text(r.headers[0].value), text(r.value));
  }
  EXPECT_EQ(offsets, (std::vector<int64_t>{10, 11, 12, 13, 14, 20, 21, 22, 23}));
  EXPECT_EQ(block.from(15, false).size(), 4u);
  EXPECT_EQ(block.offset_behind(14), 15);
  EXPECT_EQ(block.offset_behind(23), 24);
  EXPECT_EQ(block.next_offset(), 24);
}

TEST(record_block_test, a_batch_that_is_not_plain_or_not_whole_is_not_added) {
  record_block block;
  ASSERT_TRUE(block.fill(make_batch(3, protocol::codec::none, 0)));
  const slice whole = make_batch(3, protocol::codec::none, 3);
  EXPECT_FALSE(block.add(whole.sub(0, whole.size() - 1)));
  protocol::batch_builder builder;
  builder.add(1, std::nullopt, as_bytes("v"));
  protocol::batch_options transactional;
  transactional.base_offset = 3;
  transactional.attributes = protocol::batch_attributes::transactional;
  EXPECT_FALSE(block.add(builder.build(transactional)));
  EXPECT_EQ(block.batch_count(), 1u);
  EXPECT_EQ(block.next_offset(), 3);
  EXPECT_EQ(block.from(0, false).size(), 3u);
}

class batch_assembler_test : public testing::Test {
 protected:
  void emit(uint32_t record, uint32_t output, std::string_view value,
            int64_t timestamp_ms = MILLRACE_INHERIT_TIMESTAMP,
            std::span<const millrace_header> headers = {}) {
    millrace_emission e{};
    e.struct_size = sizeof(e);
    e.output = output;
    e.record = record;
    e.timestamp_ms = timestamp_ms;
    e.key = kit::null_bytes;
    e.value = bytes(value);
    e.headers = headers.data();
    e.header_count = static_cast<uint32_t>(headers.size());
    ASSERT_EQ(emitted_.add(&e), MILLRACE_OK);
  }
  // "<output>: value@time ..." of each batch.
  std::vector<std::string> assemble(protocol::codec compression = protocol::codec::none) {
    const millrace_record causes[] = {kit::record("a", 1), kit::record("b", 2)};
    std::vector<std::string> lines;
    for (const derived_batch& b : assembler_.assemble(emitted_, {}, causes, 3, compression)) {
      EXPECT_TRUE(protocol::has_valid_crc(b.batch.bytes));
      EXPECT_EQ(b.batch.header.compression(), compression);
      record_block block;
      EXPECT_TRUE(block.fill(b.batch.bytes));
      std::string line = fmt::format("{}:", b.target);
      for (const millrace_record& r : block.from(0, true)) {
        line += fmt::format(" {}@{}", text(r.value).substr(0, 4), r.timestamp_ms);
        for (uint32_t h = 0; h < r.header_count; ++h) line += "+" + text(r.headers[h].key);
      }
      lines.push_back(line);
    }
    return lines;
  }

  emissions emitted_;
  batch_assembler assembler_;
};

TEST_F(batch_assembler_test, one_batch_per_output_in_the_order_of_emission) {
  emitted_.begin(2, 3);
  const millrace_header header{bytes("why"), kit::null_bytes};
  emit(0, 2, "x");
  emit(0, 0, "y", 99);
  emit(1, 2, "z", MILLRACE_INHERIT_TIMESTAMP, std::span(&header, 1));
  const std::vector<std::string> expected{"0: y@99", "2: x@1001 z@1002+why"};
  EXPECT_EQ(assemble(), expected);
  EXPECT_EQ(assemble(protocol::codec::lz4), expected);
}

TEST_F(batch_assembler_test, large_outputs_are_several_batches) {
  emitted_.begin(2, 3);
  const std::string third(batch_assembler::batch_bytes_target / 3, 'x');
  const std::string huge(3 * batch_assembler::batch_bytes_target, 'h');
  for (int i = 0; i < 4; ++i) emit(0, 0, third);
  emit(1, 0, huge);
  EXPECT_EQ(assemble(),
            (std::vector<std::string>{"0: xxxx@1001 xxxx@1001", "0: xxxx@1001 xxxx@1001", "0: hhhh@1002"}));
}

TEST_F(batch_assembler_test, no_emission_no_batch) {
  emitted_.begin(2, 3);
  EXPECT_TRUE(assemble().empty());
}

}  // namespace
}  // namespace millrace::processors
