// codec: the four compressions of record batches.
//
// decompress() takes whatever Kafka's clients send: gzip with several members, snappy raw or in Java's
// xerial framing, lz4 frames as Java can read them, zstd frames with or without a content size. Output is
// bounded: a batch that inflates beyond the limit is an error long before it is in memory. compress() writes
// what the oldest consumers read: xerial framing, independent 64 KiB lz4 blocks.
//
// Contexts are kept per thread and reused; both functions may be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/result.h"

namespace millrace::protocol {

// Values as in bits 0-2 of a batch's attributes.
enum class codec : uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };

inline constexpr int codec_count = 5;

// "gzip"; "none" for none.
std::string_view name_of(codec c) noexcept;
std::optional<codec> parse_codec(std::string_view name) noexcept;

// The codec's own default when absent. Kafka's ranges: gzip 1..9, lz4 1..17, zstd -131072..22; snappy has
// none. A level outside is taken to the nearest end.
using codec_level = std::optional<int>;

// `in`, compressed. codec::none copies. Never fails: memory apart, nothing can.
slice compress(codec c, bytes_view in, codec_level level = std::nullopt);

// The inverse. Errors: corrupt_message for bytes that are not such a stream or are cut off; limit_exceeded
// when there would be more than `output_bytes_max` bytes. What follows the end of a gzip or lz4 stream is
// ignored, as Kafka's own reader does.
result<slice> decompress(codec c, bytes_view in, size_t output_bytes_max);

}  // namespace millrace::protocol
