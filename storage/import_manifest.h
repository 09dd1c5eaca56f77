// import_manifest: topics that `millrace log import` laid down beside the broker's own, ready to be adopted.
//
// An import writes each partition to `<topic>-<partition>-import` in the data directory: segments, indexes,
// epochs, as a clean stop leaves them, all synced. Then it writes `import.manifest`, which says everything
// that the broker does not find in those files. The manifest's appearance is the moment of decision: a
// directory that no manifest names is rubbish, and a broker that finds a manifest adopts all of it before
// it serves anybody (adopt.h).
//
// The file: magic "MRIMPO\0\1", length 8, XXH3 of the body 8, body: the first producer id that is free, the
// leader epoch of the newest batch, the topics (as entries of the metadata log), the partitions (as a
// checkpoint). Little-endian.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "storage/checkpoint.h"
#include "storage/metadata_log.h"

namespace millrace::storage {

struct import_manifest {
  // Producer ids below it occur in what was imported; 0 if none does.
  int64_t next_producer_id = 0;
  // Of all batches; -1 if none carries one.
  int32_t newest_epoch = -1;
  // Their placement is decided at adoption.
  std::vector<topic_created> topics;
  // Every partition of every topic. Segments name what the files hold; `redo_from` is 0.
  std::vector<checkpoint_partition> partitions;
};

std::vector<std::byte> encode(const import_manifest& m);
// errc::corruption, or errc::not_supported for a newer version. `path` is for the message.
result<import_manifest> decode_import_manifest(bytes_view file, const std::string& path);

namespace layout {
std::string import_manifest(const std::string& data_dir);
// Where a partition waits until it is adopted.
std::string import_directory(const std::string& data_dir, std::string_view topic, int32_t partition);
bool is_import_directory(std::string_view name);
}  // namespace layout

}  // namespace millrace::storage
