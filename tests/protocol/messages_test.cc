// Every message, every version: golden bytes, random round trips, truncation, hostile lengths.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <set>

#include "base/prng.h"
#include "protocol/generated/fetch_response.h"
#include "protocol/generated/metadata_request.h"
#include "protocol/generated/produce_request.h"
#include "tests/protocol/fixture.h"
#include "tests/protocol/message_case.h"

namespace millrace::protocol::testing {
namespace {

const message_case* find_message(std::string_view name) {
  for (const message_case& m : all_messages()) {
    if (m.name == name) return &m;
  }
  return nullptr;
}

struct golden_vector {
  std::string message;
  int16_t version;
  std::vector<std::byte> body;
  value fields;
};

std::vector<golden_vector> read_vectors() {
  std::vector<golden_vector> vectors;
  for (const auto& row : read_table("vectors.tsv")) {
    const auto version = static_cast<int16_t>(std::stoi(row.at(1)));
    vectors.push_back({row.at(0), version, from_hex(row.at(2)), value::parse_json(row.at(3))});
  }
  return vectors;
}

TEST(Messages, EqualKafkasOwnBytesInEveryVersion) {
  std::set<std::pair<std::string, int16_t>> seen;
  for (const golden_vector& v : read_vectors()) {
    const message_case* message = find_message(v.message);
    ASSERT_NE(message, nullptr) << v.message;
    SCOPED_TRACE(fmt::format("{} v{}", v.message, v.version));
    EXPECT_EQ(to_hex(message->encode_value(v.fields, v.version)), to_hex(v.body));
    EXPECT_TRUE(message->decodes_to(v.fields, v.version, slice::copy_of(v.body)));
    seen.emplace(v.message, v.version);
  }
  for (const message_case& m : all_messages()) {
    for (int16_t v = m.version_min; v <= m.version_max; ++v) {
      EXPECT_TRUE(seen.contains({std::string(m.name), v})) << m.name << " v" << v << " has no golden vector";
    }
  }
}

TEST(Messages, ComeBackAsTheyWentWhateverTheirFieldsHold) {
  prng random(announced_seed());
  for (const message_case& m : all_messages()) {
    for (int16_t v = m.version_min; v <= m.version_max; ++v) {
      for (int round = 0; round < 40; ++round) {
        const auto bytes = m.random_round_trip(random, v);
        ASSERT_TRUE(bytes) << m.name << " v" << v << ": " << to_string(bytes.error());
      }
    }
  }
}

TEST(Messages, ComeBackAsTheyWentWhenNothingIsSet) {
  for (const message_case& m : all_messages()) {
    for (int16_t v = m.version_min; v <= m.version_max; ++v) {
      const slice bytes = m.encode_default(v);
      const auto again = m.decode(bytes, v);
      ASSERT_TRUE(again) << m.name << " v" << v << ": " << to_string(again.error());
      EXPECT_EQ(to_hex(again->encoded_again), to_hex(bytes)) << m.name << " v" << v;
    }
  }
}

// The slice ends at the end of its memory, so that the address sanitizer sees the first byte too many.
TEST(Messages, CutOffAnywhereAreAnErrorThatNamesTheField) {
  for (const golden_vector& v : read_vectors()) {
    const message_case* message = find_message(v.message);
    ASSERT_NE(message, nullptr);
    for (size_t size = 0; size < v.body.size(); ++size) {
      const auto cut = message->decode(slice::copy_of({v.body.data(), size}), v.version);
      ASSERT_FALSE(cut) << v.message << " v" << v.version << " at " << size;
      EXPECT_EQ(cut.error().code, errc::malformed);
      EXPECT_TRUE(cut.error().message.starts_with(fmt::format("{} v{}: ", v.message, v.version)));
    }
  }
}

TEST(Messages, SurviveAnyChangeOfAnyByte) {
  prng random(announced_seed());
  for (const golden_vector& v : read_vectors()) {
    const message_case* message = find_message(v.message);
    ASSERT_NE(message, nullptr);
    for (size_t at = 0; at < v.body.size(); ++at) {
      std::vector<std::byte> broken = v.body;
      for (const auto replacement :
           {std::byte{0xff}, std::byte{0x7f}, std::byte{0}, static_cast<std::byte>(random.next())}) {
        broken[at] = replacement;
        static_cast<void>(message->decode(slice::copy_of(broken), v.version));
      }
    }
  }
}

// What decodes is the same after another round: nothing is accepted that cannot be said again.
TEST(Messages, AreStableOnceDecoded) {
  prng random(announced_seed());
  for (const message_case& m : all_messages()) {
    for (int16_t v = m.version_min; v <= m.version_max; ++v) {
      const auto bytes = m.random_round_trip(random, v);
      ASSERT_TRUE(bytes);
      const auto once = m.decode(*bytes, v);
      ASSERT_TRUE(once);
      const auto twice = m.decode(once->encoded_again, v);
      ASSERT_TRUE(twice);
      EXPECT_EQ(to_hex(twice->encoded_again), to_hex(once->encoded_again));
    }
  }
}

std::string decode_error(auto decode, std::initializer_list<int> list, int16_t version) {
  reader in(bytes_of(list));
  const auto got = decode(in, version);
  return got ? "none" : got.error().message;
}

TEST(Messages, RefuseHostileLengths) {
  const auto metadata = metadata_request::decode;
  EXPECT_EQ(decode_error(metadata, {0x7f, 0xff, 0xff, 0xff, 0, 0}, 1),
            "metadata_request v1: topics at byte 4: more elements than the bytes that are left can hold");
  EXPECT_EQ(decode_error(metadata, {0x80, 0, 0, 0}, 1),
            "metadata_request v1: topics at byte 4: negative array length");
  EXPECT_EQ(decode_error(metadata, {0xff, 0xff, 0xff, 0xff}, 0),
            "metadata_request v0: topics at byte 4: null where an array is needed");
  EXPECT_EQ(decode_error(metadata, {0, 0, 0, 1, 0x80, 0}, 1),
            "metadata_request v1: topics.name at byte 6: negative length");
  EXPECT_EQ(decode_error(metadata, {0, 0, 0, 1, 0, 2, 'a'}, 1),
            "metadata_request v1: topics.name at byte 6: longer than the bytes that are left");
  EXPECT_EQ(decode_error(metadata, {0, 0, 0, 1, 0xff, 0xff}, 1),
            "metadata_request v1: topics.name at byte 6: null where a value is needed");
  EXPECT_EQ(decode_error(metadata, {0xff, 0xff, 0xff, 0xff, 0x1f}, 9),
            "metadata_request v9: topics at byte 0: broken or cut off variable-length integer");
  EXPECT_EQ(decode_error(metadata, {0xff, 0xff, 0xff, 0xff, 0x0f}, 9),
            "metadata_request v9: topics at byte 5: more elements than the bytes that are left can hold");
}

TEST(Messages, BoundTheMemoryOfOneMessage) {
  // Many tiny topics: each is 2 bytes on the wire and far more in memory.
  const int32_t count = 40'000'000;
  buffer memory = buffer::allocate(4 + 2 * size_t{count});
  std::memset(memory.data(), 0, memory.capacity());
  store_be(memory.data(), count);
  reader in(slice(memory, 0, 4 + 2 * size_t{count}));
  const auto got = metadata_request::decode(in, 1);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().message, "metadata_request v1: topics at byte 4: message takes too much memory");
}

TEST(Messages, SkipTaggedFieldsTheyDoNotKnow) {
  // topics null, auto create, no operations, then tags 3 (2 bytes) and 200 (none).
  reader in(bytes_of({0, 1, 0, 2, 3, 2, 0xaa, 0xbb, 0xc8, 1, 0}));
  const auto got = metadata_request::decode(in, 12);
  ASSERT_TRUE(got) << to_string(got.error());
  EXPECT_EQ(in.remaining(), 0u);
  EXPECT_TRUE(got->allow_auto_topic_creation);

  const auto metadata = metadata_request::decode;
  EXPECT_EQ(decode_error(metadata, {0, 1, 0, 2, 3, 0, 3, 0}, 12),
            "metadata_request v12: tagged fields at byte 8: tags are not ascending");
  EXPECT_EQ(
      decode_error(metadata, {0, 1, 0, 1, 3, 9, 0}, 12),
      "metadata_request v12: tagged fields at byte 6: tagged field is longer than the bytes that are left");
}

TEST(Messages, HandOutRecordsWithoutCopyingThem) {
  produce_request sent;
  auto& topic = sent.topic_data.emplace_back();
  topic.name = "t";
  topic.partition_data.emplace_back().records = iobuf(slice::copy_of(as_bytes("batch")));
  const slice bytes = encode_to_slice(sent, 3);
  reader in(bytes);
  const auto got = produce_request::decode(in, 3);
  ASSERT_TRUE(got);
  const iobuf& records = *got->topic_data.at(0).partition_data.at(0).records;
  ASSERT_EQ(records.slices().size(), 1u);
  EXPECT_EQ(as_text(records.slices()[0]), "batch");
  EXPECT_EQ(records.slices()[0].owner().data(), bytes.owner().data());
  EXPECT_EQ(static_cast<const void*>(got->topic_data[0].name.data()), bytes.data() + 2 + 2 + 4 + 4 + 2);
}

TEST(Messages, SendRecordsByReference) {
  fetch_response answer;
  auto& partition = answer.responses.emplace_back().partitions.emplace_back();
  const slice batch = slice::copy_of(as_bytes("batch"));
  partition.records = iobuf(batch);
  writer out;
  answer.encode(out, 12);
  const iobuf wire = std::move(out).finish();
  ASSERT_EQ(wire.slices().size(), 3u);
  EXPECT_EQ(wire.slices()[1].data(), batch.data());
}

}  // namespace
}  // namespace millrace::protocol::testing
