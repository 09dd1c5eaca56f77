// Any bytes as a compressed stream: an error or output within the limit. And the other way round: whatever is
// compressed comes back.
//
// Input: a byte of codec, a byte of level, then the stream.
//
// covers: protocol/codec
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "protocol/codec.h"

using namespace millrace;
using namespace millrace::protocol;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const auto c = static_cast<codec>(data[0] % codec_count);
  const bytes_view bytes(reinterpret_cast<const std::byte*>(data + 2), size - 2);
  const size_t limit = data[0] & 0x80 ? size : size_t{1} << 20;

  const auto plain = decompress(c, slice::copy_of(bytes), limit);
  if (plain) MR_ASSERT(plain->size() <= limit);

  const auto level = data[1] & 1 ? codec_level(data[1] / 8) : std::nullopt;
  const slice packed = compress(c, bytes, level);
  const auto back = decompress(c, packed, bytes.size());
  MR_ASSERT(back.has_value() && std::ranges::equal(back->view(), bytes));
  MR_ASSERT(parse_codec(name_of(c)) == c);
  return 0;
}
