#include "tools/migrate/data_directory.h"

#include <iterator>

#include "base/bytes.h"
#include "storage/layout.h"
#include "storage/metadata_codec.h"
#include "storage/wal/frame.h"
#include "tools/migrate/disk.h"

namespace millrace::tools {

namespace {

namespace wal = storage::wal;

// A metadata log is one row of frames of this generation (storage/metadata_log.h).
constexpr uint64_t metadata_generation = 1;

result<void> replay(const std::string& file, const std::string& path, storage::metadata_state& state) {
  const bytes_view bytes = as_bytes(file);
  for (size_t at = 0; at < bytes.size();) {
    const auto header = wal::load_header(bytes.subspan(at));
    // The last frame may be torn; the broker tells that from damage when it starts.
    if (!header || header->generation != metadata_generation) break;
    const size_t size = header->padded_bytes();
    if (size > bytes.size() - at || !wal::verifies(bytes.subspan(at, size), *header)) break;
    wal::entry_cursor entries(bytes.subspan(at, size), *header);
    while (const auto entry = entries.next()) {
      const auto decoded = storage::decode_metadata(static_cast<uint8_t>(entry->kind), entry->body);
      if (!decoded) return fail(decoded.error().code, "{} at byte {}: {}", path, at, decoded.error().message);
      if (const auto applied = state.apply(*decoded); !applied)
        return fail(applied.error().code, "{} at byte {}: {}", path, at, applied.error().message);
    }
    at += size;
  }
  return {};
}

}  // namespace

result<data_directory> read_data_directory(const std::string& path) {
  data_directory known;
  const std::string meta_path = storage::layout::meta_properties(path);
  const auto meta = read_small_file(meta_path);
  if (!meta && meta.error().code == errc::not_found) return known;
  if (!meta) return fail(meta.error());
  auto parsed = storage::parse_meta_properties(*meta, meta_path);
  if (!parsed) return fail(parsed.error());
  known.is_new = false;
  known.meta = std::move(*parsed);
  const std::string log_path = storage::layout::metadata_log(path);
  const auto log = read_small_file(log_path);
  if (!log) return fail(log.error());
  MR_TRY(replay(*log, log_path, known.state));
  return known;
}

result<std::vector<storage::checkpoint_partition>> read_partitions(const std::string& path, uint32_t shards) {
  std::vector<storage::checkpoint_partition> partitions;
  for (uint32_t shard = 0; shard < shards; ++shard) {
    const std::string file_path = storage::layout::checkpoint_file(path, shard);
    const auto file = read_small_file(file_path);
    if (!file) return fail(file.error());
    auto decoded = storage::decode_checkpoint(as_bytes(*file), file_path);
    if (!decoded) return fail(decoded.error());
    partitions.insert(partitions.end(), std::make_move_iterator(decoded->partitions.begin()),
                      std::make_move_iterator(decoded->partitions.end()));
  }
  return partitions;
}

}  // namespace millrace::tools
