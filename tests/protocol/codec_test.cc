#include "protocol/codec.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <lz4frame.h>
#include <snappy.h>
#include <string>
#include <zlib.h>
#include <zstd.h>

#include "base/prng.h"
#include "tests/protocol/fixture.h"

namespace millrace::protocol::testing {
namespace {

constexpr codec all_codecs[] = {codec::none, codec::gzip, codec::snappy, codec::lz4, codec::zstd};
constexpr size_t plenty = size_t{64} << 20;

std::vector<std::byte> sample(size_t size, bool compressible) {
  prng random(size);
  std::vector<std::byte> out(size);
  for (size_t i = 0; i < size; ++i) {
    out[i] = compressible ? static_cast<std::byte>("{\"name\":\"value\"}"[i % 16])
                          : static_cast<std::byte>(random.next());
  }
  return out;
}

slice joined(std::initializer_list<bytes_view> parts) {
  std::vector<std::byte> all;
  for (const bytes_view p : parts) all.insert(all.end(), p.begin(), p.end());
  return slice::copy_of(all);
}

std::string inflated(codec c, bytes_view in, size_t limit = plenty) {
  const auto out = decompress(c, in, limit);
  return out ? std::string(as_text(*out)) : std::string(name_of(out.error().code));
}

TEST(Codec, GivesBackWhatItTook) {
  for (const codec c : all_codecs) {
    for (const size_t size : {0, 1, 100, 4096, 32 * 1024, 32 * 1024 + 1, 200'000, 3'000'000}) {
      for (const bool compressible : {true, false}) {
        const auto data = sample(size, compressible);
        const slice packed = compress(c, data);
        const auto back = decompress(c, packed, plenty);
        ASSERT_TRUE(back) << name_of(c) << ' ' << size << ": " << to_string(back.error());
        ASSERT_TRUE(std::ranges::equal(back->view(), data)) << name_of(c) << ' ' << size;
        if (compressible && size >= 4096 && c != codec::none) EXPECT_LT(packed.size(), size / 3);
      }
    }
  }
}

TEST(Codec, TakesEveryLevelAndTheNearestOfOthers) {
  const auto data = sample(50'000, true);
  for (const codec c : all_codecs) {
    for (const int level : {-1'000'000, -7, 0, 1, 3, 6, 9, 12, 17, 19, 1000}) {
      const auto back = decompress(c, compress(c, data, level), plenty);
      ASSERT_TRUE(back) << name_of(c) << " level " << level;
      EXPECT_TRUE(std::ranges::equal(back->view(), data));
    }
  }
}

TEST(Codec, StopsAtTheOutputLimitAndNotBefore) {
  const auto data = sample(100'000, true);
  for (const codec c : all_codecs) {
    const slice packed = compress(c, data);
    EXPECT_TRUE(decompress(c, packed, data.size())) << name_of(c);
    const auto refused = decompress(c, packed, data.size() - 1);
    ASSERT_FALSE(refused) << name_of(c);
    EXPECT_EQ(refused.error().code, errc::limit_exceeded) << name_of(c);
    EXPECT_FALSE(decompress(c, packed, 0)) << name_of(c);
  }
}

TEST(Codec, BombsCostNoMoreThanTheLimit) {
  const std::vector<std::byte> zeros(size_t{48} << 20);
  for (const codec c : all_codecs) {
    const slice bomb = compress(c, zeros);
    const auto refused = decompress(c, bomb, size_t{1} << 20);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, errc::limit_exceeded) << name_of(c);
  }
}

TEST(Codec, CutOffStreamsAreErrors) {
  const auto data = sample(5000, true);
  for (const codec c : {codec::gzip, codec::snappy, codec::lz4, codec::zstd}) {
    const slice packed = compress(c, data);
    // Snappy's frame may end behind any block, the first of which stands behind the header.
    for (size_t size = c == codec::snappy ? 17 : 1; size < packed.size(); ++size) {
      const auto cut = decompress(c, slice::copy_of(packed.view().first(size)), plenty);
      ASSERT_FALSE(cut) << name_of(c) << " at " << size;
      EXPECT_EQ(cut.error().code, errc::corrupt_message);
    }
  }
}

TEST(Codec, SurvivesRandomDamage) {
  const auto data = sample(3000, true);
  for (const codec c : {codec::gzip, codec::snappy, codec::lz4, codec::zstd}) {
    const slice packed = compress(c, data);
    prng random(7);
    for (int round = 0; round < 3000; ++round) {
      std::vector<std::byte> broken(packed.view().begin(), packed.view().end());
      for (uint64_t flips = 1 + random.below(3); flips > 0; --flips) {
        broken[random.below(broken.size())] = static_cast<std::byte>(random.next());
      }
      static_cast<void>(decompress(c, slice::copy_of(broken), 100'000));
    }
  }
}

TEST(Gzip, ReadsSeveralMembersAndIgnoresWhatIsNone) {
  const slice a = compress(codec::gzip, as_bytes("first "));
  const slice b = compress(codec::gzip, as_bytes("second"));
  EXPECT_EQ(inflated(codec::gzip, joined({a, b})), "first second");
  EXPECT_EQ(inflated(codec::gzip, joined({a, b, as_bytes("garbage")})), "first second");
  EXPECT_EQ(inflated(codec::gzip, joined({a, b.view().first(9)})), "CORRUPT_MESSAGE");
  EXPECT_EQ(inflated(codec::gzip, as_bytes("garbage")), "CORRUPT_MESSAGE");
}

TEST(Snappy, ReadsRawBlocksAndXerialFraming) {
  std::string raw;
  const std::string text(1000, 'x');
  snappy::Compress(text.data(), text.size(), &raw);
  EXPECT_EQ(inflated(codec::snappy, as_bytes(raw)), text);

  const slice framed = compress(codec::snappy, as_bytes(text));
  EXPECT_EQ(to_hex(framed.view().first(16)),
            "82534e415050590000000001"
            "00000001");
  EXPECT_EQ(inflated(codec::snappy, framed), text);
  EXPECT_EQ(inflated(codec::snappy, joined({framed, framed})), text + text) << "streams one after another";
  EXPECT_EQ(inflated(codec::snappy, framed.view().first(16)), "") << "no blocks at all";
}

TEST(Snappy, RefusesImpossibleBlockSizes) {
  const slice header = slice::copy_of(compress(codec::snappy, {}));
  EXPECT_EQ(inflated(codec::snappy, joined({header, bytes_of({0xff, 0xff, 0xff, 0xff})})), "CORRUPT_MESSAGE");
  EXPECT_EQ(inflated(codec::snappy, joined({header, bytes_of({0, 0, 0, 9, 1})})), "CORRUPT_MESSAGE");
  EXPECT_EQ(inflated(codec::snappy, joined({header, bytes_of({0, 0})})), "CORRUPT_MESSAGE");
  // A raw block that claims 4 GiB.
  EXPECT_EQ(inflated(codec::snappy, bytes_of({0xff, 0xff, 0xff, 0xff, 0x0f, 0})), "LIMIT_EXCEEDED");
}

std::string lz4_frame(std::string_view text, LZ4F_blockMode_t mode, LZ4F_contentChecksum_t checksum) {
  LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
  preferences.frameInfo.blockMode = mode;
  preferences.frameInfo.contentChecksumFlag = checksum;
  preferences.frameInfo.contentSize = text.size();
  std::string out(LZ4F_compressFrameBound(text.size(), &preferences), '\0');
  out.resize(LZ4F_compressFrame(out.data(), out.size(), text.data(), text.size(), &preferences));
  return out;
}

TEST(Lz4, WritesIndependentBlocksOf64KiB) {
  const slice packed = compress(codec::lz4, sample(300'000, true));
  EXPECT_EQ(to_hex(packed.view().first(6)),
            "04224d18"
            "60"
            "40");
}

TEST(Lz4, ReadsWhatJavaReadsAndRefusesLinkedBlocks) {
  const std::string text(300'000, 'y');  // more than a block, or they are independent anyway
  EXPECT_EQ(inflated(codec::lz4, as_bytes(lz4_frame(text, LZ4F_blockIndependent, LZ4F_noContentChecksum))),
            text);
  EXPECT_EQ(
      inflated(codec::lz4, as_bytes(lz4_frame(text, LZ4F_blockIndependent, LZ4F_contentChecksumEnabled))),
      text);
  EXPECT_EQ(inflated(codec::lz4, as_bytes(lz4_frame(text, LZ4F_blockLinked, LZ4F_noContentChecksum))),
            "CORRUPT_MESSAGE");
}

// Contexts are reused: what one client sends must not decide about the next one's batch.
TEST(Codec, AHostileStreamDoesNotSpoilTheNextOne) {
  const auto data = sample(200'000, true);
  const std::string sized =
      lz4_frame(std::string(300'000, 'y'), LZ4F_blockIndependent, LZ4F_contentChecksumEnabled);
  for (const codec c : {codec::gzip, codec::snappy, codec::lz4, codec::zstd}) {
    const slice packed = compress(c, data);
    const slice cut =
        c == codec::lz4 ? slice::copy_of(as_bytes(sized).first(200)) : packed.sub(0, packed.size() / 2);
    EXPECT_FALSE(decompress(c, cut, plenty));
    EXPECT_TRUE(decompress(c, packed, plenty)) << name_of(c) << " after a stream that was cut off";
    EXPECT_FALSE(decompress(c, packed, 10));
    EXPECT_TRUE(decompress(c, packed, plenty)) << name_of(c) << " after one that was too large";
  }
}

TEST(Zstd, ReadsFramesWithoutContentSizeAndSeveralOfThem) {
  const auto data = sample(400'000, true);
  ZSTD_CCtx* context = ZSTD_createCCtx();
  std::vector<std::byte> packed(ZSTD_compressBound(data.size()));
  ZSTD_inBuffer in{data.data(), data.size(), 0};
  ZSTD_outBuffer out{packed.data(), packed.size(), 0};
  // Fed in two steps, so that the frame does not know its size.
  ZSTD_inBuffer half{data.data(), data.size() / 2, 0};
  ZSTD_compressStream2(context, &out, &half, ZSTD_e_continue);
  in.pos = half.pos;
  ASSERT_EQ(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0u);
  ZSTD_freeCCtx(context);
  packed.resize(out.pos);
  ASSERT_EQ(ZSTD_getFrameContentSize(packed.data(), packed.size()), ZSTD_CONTENTSIZE_UNKNOWN);

  const auto once = decompress(codec::zstd, packed, plenty);
  ASSERT_TRUE(once);
  EXPECT_TRUE(std::ranges::equal(once->view(), data));
  const auto twice = decompress(codec::zstd, joined({packed, packed}), plenty);
  ASSERT_TRUE(twice);
  EXPECT_EQ(twice->size(), 2 * data.size());
  EXPECT_EQ(inflated(codec::zstd, joined({packed, as_bytes("garbage")})), "CORRUPT_MESSAGE");
}

TEST(Codec, IsKnownByName) {
  for (const codec c : all_codecs) EXPECT_EQ(parse_codec(name_of(c)), c);
  EXPECT_EQ(parse_codec("brotli"), std::nullopt);
}

}  // namespace
}  // namespace millrace::protocol::testing
