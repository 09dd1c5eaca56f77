// codec_impl: what the four codecs share. For protocol/codec*.cc only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/result.h"
#include "protocol/codec.h"

namespace millrace::protocol::codec_impl {

// Where output grows to a size nobody knows beforehand. The memory is one of the thread's, kept between calls
// unless it got large; take() copies the output to a buffer of just its size. Copying is far cheaper
// than decompressing, and batches do not pin memory they do not use.
class scratch {
 public:
  explicit scratch(size_t bytes_max) noexcept : bytes_max_(bytes_max) {}
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  ~scratch();

  // Makes room for `wanted` bytes behind the output, or as many as the limit leaves; the room may be
  // larger. Empty when the limit is reached.
  mutable_bytes room(size_t wanted);
  // The first `size` bytes of the room are output now.
  void advance(size_t size) noexcept { used_ += size; }

  size_t bytes_max() const noexcept { return bytes_max_; }
  size_t left() const noexcept { return bytes_max_ - used_; }
  slice take() const;

 private:
  size_t bytes_max_;
  size_t used_ = 0;
};

std::unexpected<error> too_large(size_t bytes_max);
std::unexpected<error> corrupt(codec c, const char* what);

slice compress_gzip(bytes_view in, codec_level level);
slice compress_snappy(bytes_view in);
slice compress_lz4(bytes_view in, codec_level level);
slice compress_zstd(bytes_view in, codec_level level);

result<> decompress_gzip(bytes_view in, scratch& out);
result<> decompress_snappy(bytes_view in, scratch& out);
result<> decompress_lz4(bytes_view in, scratch& out);
result<> decompress_zstd(bytes_view in, scratch& out);

}  // namespace millrace::protocol::codec_impl
