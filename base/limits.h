// limits: every maximum of the system, with the relations between them that must hold.
//
// A limit that a user may want to change is a configuration key instead; what is here is the ceiling
// such keys are checked against.
#pragma once

#include <cstddef>
#include <cstdint>

namespace millrace::limits {

inline constexpr uint64_t KiB = 1024;
inline constexpr uint64_t MiB = 1024 * KiB;

// The unit of direct I/O and of frame padding.
inline constexpr uint64_t block_bytes = 4 * KiB;

// One record batch as a client may send it (ceiling of max.message.bytes).
inline constexpr uint64_t batch_bytes_max = 16 * MiB;
// A group commit is sealed when it reaches the target; only a single large batch with its derived
// records may take it to the maximum.
inline constexpr uint64_t frame_bytes_target = 4 * MiB;
inline constexpr uint64_t frame_bytes_max = 32 * MiB;
// A shard's write-ahead log: files of this size, recycled, this many at most.
inline constexpr uint64_t wal_file_bytes_max = 128 * MiB;
inline constexpr uint64_t wal_files_max = 4;

// One request frame (default of socket.request.max.bytes is Kafka's 100 MiB).
inline constexpr uint64_t request_bytes_max = 100 * MiB;

// Elements one request may name in any one array; each costs at least a byte on the wire, so a small
// frame cannot make us allocate much more than itself.
inline constexpr size_t record_headers_max = 65'536;

inline constexpr size_t topic_name_max = 249;
inline constexpr size_t shards_max = 64;
inline constexpr int32_t partitions_per_topic_max = 100'000;

static_assert(batch_bytes_max <= frame_bytes_max / 2, "a batch and what is derived from it share a frame");
static_assert(frame_bytes_target <= frame_bytes_max);
static_assert(frame_bytes_max <= wal_file_bytes_max / 4, "a frame never dominates its WAL file");
static_assert(batch_bytes_max < request_bytes_max);

}  // namespace millrace::limits
