#include <gtest/gtest.h>

#include "base/buffer.h"
#include "base/checksum.h"
#include "base/errc.h"
#include "base/histogram.h"
#include "base/prng.h"
#include "base/result.h"
#include "base/types.h"
#include "base/uuid.h"
#include "base/varint.h"

namespace millrace {
namespace {

TEST(Varint, RoundTripsTheEdgesOfEveryLength) {
  std::byte room[varint64_bytes_max];
  for (int bits = 0; bits <= 64; ++bits) {
    for (uint64_t wobble : {uint64_t{0}, uint64_t{1}}) {
      const uint64_t value = (bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits)) - wobble;
      const size_t size = put_uvarint(room, value);
      EXPECT_EQ(size, uvarint_size(value));
      bytes_view in(room, size);
      EXPECT_EQ(get_uvarint64(in), value);
      EXPECT_TRUE(in.empty());
      for (size_t cut = 0; cut < size; ++cut) {
        bytes_view part(room, cut);
        EXPECT_FALSE(get_uvarint64(part));
      }
    }
  }
}

TEST(Varint, RefusesWhatDoesNotFit) {
  const std::byte six[] = {std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
                           std::byte{0x1f}};
  bytes_view in(six);
  EXPECT_FALSE(get_uvarint32(in));
  for (int32_t v : {0, -1, 1, INT32_MAX, INT32_MIN}) EXPECT_EQ(zigzag_decode(zigzag_encode(v)), v);
  for (int64_t v : {int64_t{0}, int64_t{-1}, INT64_MAX, INT64_MIN})
    EXPECT_EQ(zigzag_decode64(zigzag_encode64(v)), v);
}

TEST(Checksum, MatchesThePublishedVector) {
  // RFC 3720 B.4: 32 bytes of zero.
  const std::byte zeros[32] = {};
  EXPECT_EQ(crc32c(zeros), 0x8a9136aau);
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))), 0xe3069283u);
}

TEST(Uuid, TextAndBytesAgree) {
  prng random(7);
  for (int i = 0; i < 1000; ++i) {
    const uuid id = uuid::make([&] { return random.next(); });
    EXPECT_NE(id.to_string().front(), '-');
    EXPECT_EQ(uuid::parse(id.to_string()), id);
  }
  EXPECT_EQ(uuid{}.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
  EXPECT_FALSE(uuid::parse("AAAAAAAAAAAAAAAAAAAAAB"));
  EXPECT_FALSE(uuid::parse("short"));
}

TEST(Buffer, SlicesKeepTheirBytesAlive) {
  const size_t before = buffer_bytes_in_use();
  slice tail;
  {
    buffer whole = buffer::copy_of(as_bytes("hello world"));
    tail = slice(whole, 6, 5);
    EXPECT_FALSE(whole.is_unique());
  }
  EXPECT_EQ(as_text(tail), "world");
  iobuf chain(tail);
  chain.append(slice::copy_of(as_bytes("!")));
  EXPECT_EQ(as_text(chain.flatten()), "world!");
  tail = {};
  chain.clear();
  EXPECT_EQ(buffer_bytes_in_use(), before);
}

TEST(Errc, InternalCodesNeverReachTheWire) {
  EXPECT_EQ(name_of(errc::offset_out_of_range), "OFFSET_OUT_OF_RANGE");
  EXPECT_EQ(kafka_code(errc::offset_out_of_range), 1);
  EXPECT_EQ(kafka_code(errc::disk_full), 56);
  EXPECT_TRUE(is_retriable(errc::disk_full));
  EXPECT_EQ(kafka_code(errc::unknown_server_error), -1);
  EXPECT_EQ(to_string(error{errc::io_error, "no"}), "IO_ERROR: no");
}

TEST(Histogram, QuantilesStayWithinAStep) {
  histogram h;
  for (uint64_t i = 1; i <= 10'000; ++i) h.add(i);
  EXPECT_NEAR(static_cast<double>(h.quantile(0.5)), 5000, 5000 * 0.065);
  EXPECT_NEAR(static_cast<double>(h.quantile(0.99)), 9900, 9900 * 0.065);
  EXPECT_EQ(h.quantile(1), 10'000u);
}

}  // namespace
}  // namespace millrace
