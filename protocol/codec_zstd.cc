// zstd frames, one or more.
//
// Decompression is one call into memory of a size known to suffice: the frames' content sizes, or what
// their blocks can hold at most. So the decoder never keeps a window of its own, whatever size a hostile
// frame asks for.
#define ZSTD_STATIC_LINKING_ONLY  // ZSTD_decompressBound
#include <algorithm>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/assert.h"
#include "protocol/codec_impl.h"

namespace millrace::protocol::codec_impl {

namespace {

struct contexts {
  ZSTD_CCtx* writer = ZSTD_createCCtx();
  ZSTD_DCtx* reader = ZSTD_createDCtx();
  contexts() { MR_ASSERT(writer != nullptr && reader != nullptr); }
  ~contexts() {
    ZSTD_freeCCtx(writer);
    ZSTD_freeDCtx(reader);
  }
};
thread_local contexts thread_contexts;

}  // namespace

slice compress_zstd(bytes_view in, codec_level level) {
  const int wanted = std::clamp(level.value_or(ZSTD_CLEVEL_DEFAULT), ZSTD_minCLevel(), ZSTD_maxCLevel());
  const size_t bound = ZSTD_compressBound(in.size());
  buffer out = buffer::allocate(bound);
  const size_t size =
      ZSTD_compressCCtx(thread_contexts.writer, out.data(), bound, in.data(), in.size(), wanted);
  MR_ASSERT(!ZSTD_isError(size));
  return slice(std::move(out), 0, size);
}

result<> decompress_zstd(bytes_view in, scratch& out) {
  if (in.empty()) return {};
  const unsigned long long bound = ZSTD_decompressBound(in.data(), in.size());
  if (bound == ZSTD_CONTENTSIZE_ERROR) return corrupt(codec::zstd, "not a sequence of whole frames");
  const mutable_bytes room = out.room(static_cast<size_t>(std::min<unsigned long long>(bound, out.left())));
  const size_t size =
      ZSTD_decompressDCtx(thread_contexts.reader, room.data(), room.size(), in.data(), in.size());
  if (ZSTD_isError(size)) {
    if (ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall && bound > out.left())
      return too_large(out.bytes_max());
    return corrupt(codec::zstd, ZSTD_getErrorName(size));
  }
  out.advance(size);
  return {};
}

}  // namespace millrace::protocol::codec_impl
