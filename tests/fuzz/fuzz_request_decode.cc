// Any bytes as a request, or as any other message there is: an error or a message, never a crash. What
// decodes must encode, decode again and be the same.
//
// Input: a zero byte, then a request as on the wire, its size left out; or a byte that is not zero, the
// message's mark (two bytes of its name's checksum, so that inputs outlive new messages), an int16 version
// and the body.
//
// covers: protocol/reader. protocol/writer. protocol/header. protocol/api. protocol/generated/
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "base/assert.h"
#include "base/checksum.h"
#include "protocol/header.h"
#include "tests/protocol/message_case.h"

using namespace millrace;
using namespace millrace::protocol;
using testing::message_case;

namespace {

void decode_and_repeat(const message_case& message, int16_t version, slice body) {
  if (version < message.version_min || version > message.version_max) return;
  const auto once = message.decode(std::move(body), version);
  if (!once) return;
  const auto twice = message.decode(once->encoded_again, version);
  MR_ASSERT(twice.has_value());
  MR_ASSERT(as_text(twice->encoded_again) == as_text(once->encoded_again));
}

void any_message(bytes_view input) {
  static const auto by_mark = [] {
    std::map<uint16_t, const message_case*> marks;
    for (const message_case& m : testing::all_messages()) {
      marks.emplace(static_cast<uint16_t>(crc32c(as_bytes(m.name))), &m);
    }
    return marks;
  }();
  if (input.size() < 4) return;
  const auto found = by_mark.find(load_be<uint16_t>(input.data()));
  if (found == by_mark.end()) return;
  decode_and_repeat(*found->second, load_be<int16_t>(input.data() + 2), slice::copy_of(input.subspan(4)));
}

void wire_request(bytes_view input) {
  static const auto by_name = [] {
    std::map<std::string_view, const message_case*> names;
    for (const message_case& m : testing::all_messages()) names.emplace(m.name, &m);
    return names;
  }();
  reader in(slice::copy_of(input));
  const auto header = request_header::decode(in);
  if (!header || !header->is_known()) return;
  writer out;
  header->encode(out);
  reader again(std::move(out).finish().flatten());
  MR_ASSERT(request_header::decode(again)->client_id == header->client_id);

  const std::string name = std::string(name_of(static_cast<api_key>(header->api_key))) + "_request";
  decode_and_repeat(*by_name.at(name), header->api_version, slice::copy_of(input.subspan(in.position())));
  // An answer's header, while a version is at hand.
  reader answer(slice::copy_of(input));
  static_cast<void>(
      decode_response_header(answer, static_cast<api_key>(header->api_key), header->api_version));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bytes_view rest(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  data[0] == 0 ? wire_request(rest) : any_message(rest);
  return 0;
}
