#include "broker/coord/partition_of.h"

#include <limits>

#include "base/assert.h"

namespace millrace::broker::coord {
namespace {

// Takes one code point off the front of `text`; U+FFFD for a byte that does not start one.
uint32_t take_code_point(std::string_view& text) noexcept {
  const auto lead = static_cast<uint8_t>(text[0]);
  const size_t length = lead < 0x80             ? 1
                        : (lead & 0xe0) == 0xc0 ? 2
                        : (lead & 0xf0) == 0xe0 ? 3
                        : (lead & 0xf8) == 0xf0 ? 4
                                                : 0;
  uint32_t point = length == 1   ? lead
                   : length == 2 ? lead & 0x1fu
                   : length == 3 ? lead & 0x0fu
                                 : lead & 0x07u;
  bool is_valid = length != 0 && length <= text.size();
  for (size_t i = 1; is_valid && i < length; ++i) {
    const auto next = static_cast<uint8_t>(text[i]);
    is_valid = (next & 0xc0) == 0x80;
    point = (point << 6) | (next & 0x3fu);
  }
  text.remove_prefix(is_valid ? length : 1);
  return is_valid ? point : 0xfffd;
}

}  // namespace

int32_t java_string_hash(std::string_view utf8) noexcept {
  uint32_t hash = 0;
  while (!utf8.empty()) {
    const uint32_t point = take_code_point(utf8);
    if (point < 0x10000) {
      hash = hash * 31 + point;
    } else {  // a surrogate pair
      hash = hash * 31 + (0xd800 + ((point - 0x10000) >> 10));
      hash = hash * 31 + (0xdc00 + ((point - 0x10000) & 0x3ff));
    }
  }
  return static_cast<int32_t>(hash);
}

int32_t partition_of(std::string_view id, int32_t partitions) noexcept {
  MR_ASSERT(partitions > 0);
  const int32_t hash = java_string_hash(id);
  const int32_t positive = hash == std::numeric_limits<int32_t>::min() ? 0 : hash < 0 ? -hash : hash;
  return positive % partitions;
}

}  // namespace millrace::broker::coord
