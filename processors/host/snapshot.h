// snapshot: a copy of a partition_state in a file, so that a restart need not read its whole changelog.
//
// Written piece by piece while the processor goes on: the offsets in the changelogs are noted first, and the
// changelogs from there on repeat whatever changed while the entries were copied. Restoring is thus: the
// snapshot's entries, then the changelogs from its offsets to their ends. The file gets its name only after
// everything that it could reflect is durable; a file that is damaged, or that is not of these changelogs, is
// as good as none.
//
// The file: "MRSTATE\1", then pieces {length 4, kind 4, XXH3 of the payload (seed: the kind) 8, payload}: one
// header, entries, one end with their number. Little-endian.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "processors/host/state.h"
#include "storage/codec.h"
#include "storage/types.h"

namespace millrace::processors {

// Where a changelog stands.
struct changelog_mark {
  storage::topic_partition_id id;
  offset next{0};

  bool operator==(const changelog_mark&) const = default;
};

struct snapshot_header {
  storage::cursor_key owner;
  std::vector<changelog_mark> changelogs;  // by store, meta last
};

// Entries are copied in pieces of about this size, with other work in between.
inline constexpr size_t snapshot_piece_bytes = 256 * 1024;

// Makes the pieces of a snapshot, one after another. The state may change between calls.
class snapshot_writer {
 public:
  snapshot_writer(const snapshot_header& header, const partition_state& from);
  // The next bytes of the file; nothing at its end.
  std::optional<std::vector<std::byte>> next();

 private:
  enum class stage : uint8_t { header, entries, end, done };
  const partition_state& from_;
  storage::field_writer header_;
  stage stage_ = stage::header;
  uint32_t store_ = 0;
  std::string last_key_;
  bool has_last_key_ = false;
  uint64_t entries_ = 0;
};

// Reads a whole file: puts its entries into `into` and gives its header. errc::corruption if it is damaged;
// errc::limit_exceeded if the entries do not fit the state's limit.
result<snapshot_header> load_snapshot(bytes_view file, partition_state& into);
// Whether the whole file is one, of a state with so many stores at most; its header.
result<snapshot_header> check_snapshot(bytes_view file, size_t stores);

// Its path under `directory`.
std::string snapshot_path(const std::string& directory, const storage::cursor_key& owner);

}  // namespace millrace::processors
