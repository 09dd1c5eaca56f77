// gzip (RFC 1952) by zlib. A stream may have several members, one after another, as Java's reader has it.
#include <algorithm>
#include <zlib.h>

#include "base/assert.h"
#include "protocol/codec_impl.h"

namespace millrace::protocol::codec_impl {

namespace {

constexpr int window_bits_gzip = 15 + 16;
constexpr int memory_level = 8;
// zlib counts in unsigned int.
constexpr size_t piece_bytes_max = size_t{1} << 30;

struct inflater {
  z_stream stream{};
  inflater() { MR_ASSERT(inflateInit2(&stream, window_bits_gzip) == Z_OK); }
  ~inflater() { inflateEnd(&stream); }
};

struct deflater {
  z_stream stream{};
  int level = Z_DEFAULT_COMPRESSION;
  deflater() {
    MR_ASSERT(deflateInit2(&stream, level, Z_DEFLATED, window_bits_gzip, memory_level, Z_DEFAULT_STRATEGY) ==
              Z_OK);
  }
  ~deflater() { deflateEnd(&stream); }
};

Bytef* as_zlib(const std::byte* at) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(at));
}

// Whether another member follows. Anything else behind a member is ignored, as Java does.
bool starts_member(const z_stream& stream) {
  return stream.avail_in >= 2 && stream.next_in[0] == 0x1f && stream.next_in[1] == 0x8b;
}

}  // namespace

slice compress_gzip(bytes_view in, codec_level level) {
  thread_local deflater state;
  MR_ASSERT(in.size() <= piece_bytes_max);
  z_stream& stream = state.stream;
  MR_ASSERT(deflateReset(&stream) == Z_OK);
  const int wanted = level ? std::clamp(*level, 1, 9) : Z_DEFAULT_COMPRESSION;
  if (wanted != state.level) {
    MR_ASSERT(deflateParams(&stream, wanted, Z_DEFAULT_STRATEGY) == Z_OK);
    state.level = wanted;
  }
  const size_t bound = deflateBound(&stream, in.size());
  buffer out = buffer::allocate(bound);
  stream.next_in = as_zlib(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = as_zlib(out.data());
  stream.avail_out = static_cast<uInt>(bound);
  MR_ASSERT(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  const size_t size = bound - stream.avail_out;
  return slice(std::move(out), 0, size);
}

result<> decompress_gzip(bytes_view in, scratch& out) {
  thread_local inflater state;
  z_stream& stream = state.stream;
  if (in.size() > piece_bytes_max) return too_large(out.bytes_max());
  MR_ASSERT(inflateReset(&stream) == Z_OK);
  stream.next_in = as_zlib(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  size_t guess = 4 * in.size() + 64;
  for (;;) {
    const mutable_bytes room = out.room(guess);
    std::byte over_the_limit;  // tells "exactly the limit" from "more than the limit"
    const bool full = room.empty();
    const mutable_bytes target = full ? mutable_bytes(&over_the_limit, 1) : room;
    stream.next_out = as_zlib(target.data());
    const auto offered = static_cast<uInt>(std::min(target.size(), piece_bytes_max));
    stream.avail_out = offered;
    const int code = inflate(&stream, Z_NO_FLUSH);
    const size_t made = offered - stream.avail_out;
    if (full && made > 0) return too_large(out.bytes_max());
    out.advance(made);
    if (code == Z_STREAM_END) {
      if (!starts_member(stream)) return {};
      MR_ASSERT(inflateReset(&stream) == Z_OK);
      continue;
    }
    if (code != Z_OK && code != Z_BUF_ERROR)
      return corrupt(codec::gzip, stream.msg ? stream.msg : "broken stream");
    // There was room for output and yet no end: the input is used up.
    if (stream.avail_out > 0) return corrupt(codec::gzip, "cut off");
    guess = std::max<size_t>(made, 4096);
  }
}

}  // namespace millrace::protocol::codec_impl
