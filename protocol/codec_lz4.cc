// lz4 frames as Java's consumers can read them: blocks that do not refer to each other. We write such
// frames with 64 KiB blocks; frames with linked blocks are refused on the way in, since a batch is handed out
// as it came and would stop every Java consumer.
#include <algorithm>
#include <lz4frame.h>
#include <utility>

#include "base/assert.h"
#include "protocol/codec_impl.h"

namespace millrace::protocol::codec_impl {

namespace {

// Kafka's default level, for which it takes the fast compressor; every other is high compression.
constexpr int kafka_default_level = 9;

// The thread's context. LZ4F_resetDecompressionContext leaves the size that an unfinished frame announced
// (lz4 1.9.4), and the next frame would be refused for it: a context that did not see its frame end is made
// anew.
class frame_reader {
 public:
  ~frame_reader() { LZ4F_freeDecompressionContext(context_); }

  LZ4F_dctx* begin() {
    if (!finished_) {
      LZ4F_freeDecompressionContext(std::exchange(context_, nullptr));
      MR_ASSERT(!LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION)));
    }
    finished_ = false;
    return context_;
  }
  void end() { finished_ = true; }

 private:
  LZ4F_dctx* context_ = nullptr;
  bool finished_ = false;
};

}  // namespace

slice compress_lz4(bytes_view in, codec_level level) {
  LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  const int wanted = level.value_or(kafka_default_level);
  preferences.compressionLevel =
      wanted == kafka_default_level ? 0 : std::clamp(wanted, 1, LZ4F_compressionLevel_max());
  const size_t bound = LZ4F_compressFrameBound(in.size(), &preferences);
  buffer out = buffer::allocate(bound);
  const size_t size = LZ4F_compressFrame(out.data(), bound, in.data(), in.size(), &preferences);
  MR_ASSERT(!LZ4F_isError(size));
  return slice(std::move(out), 0, size);
}

result<> decompress_lz4(bytes_view in, scratch& out) {
  thread_local frame_reader reader;
  LZ4F_dctx* const context = reader.begin();
  LZ4F_frameInfo_t info{};
  size_t used = in.size();
  size_t hint = LZ4F_getFrameInfo(context, &info, in.data(), &used);
  if (LZ4F_isError(hint)) return corrupt(codec::lz4, LZ4F_getErrorName(hint));
  if (info.frameType != LZ4F_frame) return corrupt(codec::lz4, "not a frame of data");
  if (info.blockMode != LZ4F_blockIndependent) return corrupt(codec::lz4, "blocks depend on each other");
  if (info.dictID != 0) return corrupt(codec::lz4, "needs a dictionary");
  in = in.subspan(used);

  size_t guess = 4 * in.size() + 64;
  while (hint != 0) {
    const mutable_bytes room = out.room(guess);
    std::byte over_the_limit;  // tells "exactly the limit" from "more than the limit"
    const bool full = room.empty();
    size_t made = full ? 1 : room.size();
    const size_t offered = made;
    used = in.size();
    hint = LZ4F_decompress(context, full ? &over_the_limit : room.data(), &made, in.data(), &used, nullptr);
    if (LZ4F_isError(hint)) return corrupt(codec::lz4, LZ4F_getErrorName(hint));
    if (full && made > 0) return too_large(out.bytes_max());
    out.advance(made);
    in = in.subspan(used);
    if (hint != 0 && in.empty() && made < offered) return corrupt(codec::lz4, "cut off");
    guess = std::max<size_t>(made, 4096);
  }
  reader.end();
  return {};  // what is behind the frame is ignored, as Java does
}

}  // namespace millrace::protocol::codec_impl
