#include "protocol/codec.h"

#include <array>

#include "base/assert.h"
#include "protocol/codec_impl.h"

namespace millrace::protocol {

namespace {

constexpr std::array<std::string_view, codec_count> names{"none", "gzip", "snappy", "lz4", "zstd"};

}  // namespace

std::string_view name_of(codec c) noexcept {
  return names[static_cast<size_t>(c)];
}

std::optional<codec> parse_codec(std::string_view name) noexcept {
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<codec>(i);
  }
  return std::nullopt;
}

slice compress(codec c, bytes_view in, codec_level level) {
  using namespace codec_impl;
  switch (c) {
    case codec::none:
      return slice::copy_of(in);
    case codec::gzip:
      return compress_gzip(in, level);
    case codec::snappy:
      return compress_snappy(in);
    case codec::lz4:
      return compress_lz4(in, level);
    case codec::zstd:
      return compress_zstd(in, level);
  }
  MR_ASSERT(!"unreachable: a codec outside the enum");
}

result<slice> decompress(codec c, bytes_view in, size_t output_bytes_max) {
  using namespace codec_impl;
  scratch out(output_bytes_max);
  result<> done;
  switch (c) {
    case codec::none:
      if (in.size() > output_bytes_max) return too_large(output_bytes_max);
      return slice::copy_of(in);
    case codec::gzip:
      done = decompress_gzip(in, out);
      break;
    case codec::snappy:
      done = decompress_snappy(in, out);
      break;
    case codec::lz4:
      done = decompress_lz4(in, out);
      break;
    case codec::zstd:
      done = decompress_zstd(in, out);
      break;
  }
  MR_TRY(std::move(done));
  return out.take();
}

}  // namespace millrace::protocol
