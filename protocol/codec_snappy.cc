// snappy: either one raw block, or Java's xerial framing, which is what we write:
//
//   82 "SNAPPY" 00 | int32 version 1 | int32 oldest compatible version 1
//   { int32 size | raw block of at most 32 KiB of input } ...
//
// Streams may follow one another: a header may stand where a block's size would.
#include <algorithm>
#include <array>
#include <cstring>
#include <snappy.h>

#include "protocol/codec_impl.h"

namespace millrace::protocol::codec_impl {

namespace {

constexpr std::array<unsigned char, 16> xerial_header{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                                      0,    0,   0,   1,   0,   0,   0,   1};
constexpr size_t xerial_magic_bytes = 8;
constexpr size_t xerial_block_bytes = 32 * 1024;

const char* as_chars(bytes_view bytes) {
  return reinterpret_cast<const char*>(bytes.data());
}

bool starts_with_header(bytes_view in) {
  return in.size() >= xerial_header.size() &&
         std::memcmp(in.data(), xerial_header.data(), xerial_magic_bytes) == 0;
}

result<> decompress_block(bytes_view in, scratch& out) {
  size_t size = 0;
  if (!snappy::GetUncompressedLength(as_chars(in), in.size(), &size)) {
    return corrupt(codec::snappy, "no length before a block");
  }
  if (size > out.left()) return too_large(out.bytes_max());
  const mutable_bytes room = out.room(size);
  if (!snappy::RawUncompress(as_chars(in), in.size(), reinterpret_cast<char*>(room.data()))) {
    return corrupt(codec::snappy, "broken block");
  }
  out.advance(size);
  return {};
}

}  // namespace

slice compress_snappy(bytes_view in) {
  const size_t blocks = (in.size() + xerial_block_bytes - 1) / xerial_block_bytes;
  const size_t bound =
      xerial_header.size() + blocks * (sizeof(int32_t) + snappy::MaxCompressedLength(xerial_block_bytes));
  buffer out = buffer::allocate(bound);
  std::memcpy(out.data(), xerial_header.data(), xerial_header.size());
  size_t at = xerial_header.size();
  for (; !in.empty();) {
    const bytes_view block = in.first(std::min(in.size(), xerial_block_bytes));
    size_t size = 0;
    snappy::RawCompress(as_chars(block), block.size(),
                        reinterpret_cast<char*>(out.data() + at + sizeof(int32_t)), &size);
    store_be(out.data() + at, static_cast<int32_t>(size));
    at += sizeof(int32_t) + size;
    in = in.subspan(block.size());
  }
  return slice(std::move(out), 0, at);
}

result<> decompress_snappy(bytes_view in, scratch& out) {
  if (!starts_with_header(in)) return decompress_block(in, out);
  while (!in.empty()) {
    if (starts_with_header(in)) {
      in = in.subspan(xerial_header.size());
      continue;
    }
    if (in.size() < sizeof(int32_t)) return corrupt(codec::snappy, "cut off before a block");
    const auto size = load_be<int32_t>(in.data());
    in = in.subspan(sizeof(int32_t));
    if (size < 0 || static_cast<size_t>(size) > in.size())
      return corrupt(codec::snappy, "impossible block size");
    MR_TRY(decompress_block(in.first(static_cast<size_t>(size)), out));
    in = in.subspan(static_cast<size_t>(size));
  }
  return {};
}

}  // namespace millrace::protocol::codec_impl
