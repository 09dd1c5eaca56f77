#include "protocol/header.h"

#include <gtest/gtest.h>

#include "protocol/generated/api_versions_response.h"
#include "protocol/generated/fetch_response.h"
#include "protocol/generated/heartbeat_request.h"
#include "tests/protocol/fixture.h"

namespace millrace::protocol::testing {
namespace {

TEST(Api, TableHasEveryKeyOnceInOrder) {
  for (size_t i = 0; i < api_table.size(); ++i) {
    if (i > 0) EXPECT_LT(api_table[i - 1].key, api_table[i].key);
    EXPECT_EQ(find_api(static_cast<int16_t>(api_table[i].key)), &api_table[i]);
    EXPECT_LE(api_table[i].version_min, api_table[i].version_max);
  }
  EXPECT_EQ(name_of(api_key::list_offsets), "list_offsets");
  for (const int unknown : {-1, 4, 76, 1000, INT16_MAX, INT16_MIN}) {
    EXPECT_EQ(find_api(static_cast<int16_t>(unknown)), nullptr);
  }
}

TEST(Api, LeavesOutWhatIsUnstable) {
  EXPECT_EQ(info_of(api_key::init_producer_id).version_max, 5);
}

TEST(RequestHeader, KeepsTheClientIdsOldLengthInFlexibleVersions) {
  reader in(bytes_of({0, 18, 0, 3, 0, 0, 0, 7, 0, 2, 'm', 'e', 0, 0xaa}));
  const auto header = request_header::decode(in);
  ASSERT_TRUE(header) << to_string(header.error());
  EXPECT_EQ(header->api_key, 18);
  EXPECT_EQ(header->api_version, 3);
  EXPECT_EQ(header->correlation_id, 7);
  EXPECT_EQ(header->client_id, "me");
  EXPECT_TRUE(header->is_flexible());
  EXPECT_EQ(in.remaining(), 1u);
}

TEST(RequestHeader, TakesANullClientIdAndSkipsTags) {
  reader in(bytes_of({0, 3, 0, 9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 5, 2, 1, 2, 0xaa}));
  const auto header = request_header::decode(in);
  ASSERT_TRUE(header) << to_string(header.error());
  EXPECT_EQ(header->client_id, std::nullopt);
  EXPECT_EQ(header->correlation_id, -1);
  EXPECT_EQ(in.remaining(), 1u);
}

TEST(RequestHeader, ReadsEnoughOfUnknownRequestsToAnswerThem) {
  reader in(bytes_of({0, 18, 0, 99, 0, 0, 0, 7, 0xde, 0xad}));
  const auto header = request_header::decode(in);
  ASSERT_TRUE(header);
  EXPECT_FALSE(header->is_known());
  EXPECT_EQ(header->correlation_id, 7);
}

TEST(RequestHeader, IsMalformedWhenCutOffAnywhere) {
  const slice whole = bytes_of({0, 18, 0, 3, 0, 0, 0, 7, 0, 2, 'm', 'e', 0});
  for (size_t size = 0; size < whole.size(); ++size) {
    reader in(slice::copy_of(whole.view().first(size)));
    EXPECT_FALSE(request_header::decode(in)) << size;
  }
}

TEST(RequestHeader, ComesBackAsItWasSent) {
  heartbeat_request request;
  request.group_id = "g";
  request.generation_id = 3;
  const slice wire = encode_request(request, 4, 11, "client").flatten();
  EXPECT_EQ(load_be<int32_t>(wire.data()), static_cast<int32_t>(wire.size() - 4));
  reader in(wire.sub(4, wire.size() - 4));
  const auto header = request_header::decode(in);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->client_id, "client");
  const auto back = heartbeat_request::decode(in, header->api_version);
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, request);
  EXPECT_EQ(in.remaining(), 0u);
}

TEST(ResponseHeader, HasTagsInFlexibleVersionsButNeverForApiVersions) {
  const slice fetch = encode_response(fetch_response{}, 12, 5).flatten();
  EXPECT_EQ(load_be<int32_t>(fetch.data()), static_cast<int32_t>(fetch.size() - 4));
  EXPECT_EQ(fetch.data()[8], std::byte{0});  // no tags
  const slice versions = encode_response(api_versions_response{}, 3, 5).flatten();
  EXPECT_EQ(to_hex(versions.view().subspan(4)),
            "00000005"
            "0000"
            "01"
            "00000000"
            "00");
}

TEST(ResponseHeader, CountsRecordsThatWereSentByReference) {
  fetch_response answer;
  answer.responses.emplace_back().partitions.emplace_back().records = iobuf(text_slice("a batch"));
  const iobuf wire = encode_response(answer, 11, 1);
  EXPECT_EQ(load_be<int32_t>(wire.flatten().data()), static_cast<int32_t>(wire.size() - 4));
  const slice flat = wire.flatten();
  reader in(flat.sub(4, flat.size() - 4));
  EXPECT_EQ(decode_response_header(in, api_key::fetch, 11), 1);
  const auto back = fetch_response::decode(in, 11);
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, answer);
}

TEST(Writer, CutsStringsThatTheOldEncodingCannotCarry) {
  writer out;
  out.put(std::string_view(std::string(40'000, 'x')));
  EXPECT_TRUE(out.is_truncated());
  EXPECT_EQ(out.size(), 2u + 32'767u);
  writer flexible;
  flexible.set_flexible(true);
  flexible.put(std::string_view(std::string(40'000, 'x')));
  EXPECT_FALSE(flexible.is_truncated());
}

TEST(Versioned, DecodesByItsOwnVersionAndRefusesOthers) {
  EXPECT_EQ(decode_versioned<api_versions_response>(bytes_of({0, 99})).error().code, errc::not_supported);
  EXPECT_EQ(decode_versioned<api_versions_response>(bytes_of({0})).error().code, errc::malformed);
}

}  // namespace
}  // namespace millrace::protocol::testing
