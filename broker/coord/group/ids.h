// ids: how long a name may be that ends up in a record.
//
// Keys are written in Kafka's older encoding, whose strings carry 32767 bytes, while newer requests can
// carry more. A member id is a client or instance id with 37 bytes appended.
#pragma once

#include <cstddef>

namespace millrace::broker::coord {

inline constexpr size_t id_bytes_max = 32'000;
inline constexpr size_t offset_metadata_bytes_ceiling = 32'000;
// A regular expression is a key too, and each costs a compilation.
inline constexpr size_t pattern_bytes_max = 4'096;
// So many that burying a group fits into one batch.
inline constexpr size_t patterns_max = 256;

}  // namespace millrace::broker::coord
