// stored: what the metadata log knows of processors.
//
// Two kinds of its keyed entries, with the processor's name as key:
//
//   128  a processor deployed at run time: a version number, then its fields. Newer brokers read older
//        versions; older ones refuse newer in one sentence.
//   129  it is paused by its operator, wherever it was deployed from (the value is "1")
//
// Libraries are named by the hash of their content; the files are `<log.dirs>/processors/<hash>.so`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "broker/config/config.h"
#include "storage/metadata_log.h"

namespace millrace::broker {

inline constexpr uint8_t stored_processor_kind = 128;
inline constexpr uint8_t stored_pause_kind = 129;

// What can be deployed again: what was asked for, and the library as it was then.
struct stored_version {
  processor_entry entry;
  std::string content_hash;
  int64_t deployed_at_ms = 0;
};

enum class stored_role : uint8_t {
  processor,
  replay,  // of another one's past; ends by itself
  shadow,  // of another one's present, for comparison
};

constexpr std::string_view name_of(stored_role role) noexcept {
  switch (role) {
    case stored_role::processor:
      return "processor";
    case stored_role::replay:
      return "replay";
    case stored_role::shadow:
      return "shadow";
  }
  return "?";
}

struct stored_processor {
  stored_version current;
  std::vector<stored_version> earlier;  // the last one first
  stored_role role = stored_role::processor;
  std::string of;  // the processor that it is a replay or shadow of
  // Where it ends, by partition of its input; empty: nowhere.
  std::vector<int64_t> until;
  // Removed, but what it has left behind is not dropped yet.
  bool is_leaving = false;
};

// At most so many earlier versions are kept.
inline constexpr size_t earlier_versions_max = 5;

std::string encode_stored(const stored_processor& p);
// errc::corruption, or errc::not_supported for the version of a newer broker.
result<stored_processor> decode_stored(std::string_view bytes);

// All of them, by name.
result<std::map<std::string, stored_processor>> stored_processors(const storage::metadata_state& state);

// The entries that say so; `none` removes.
storage::metadata_entry entry_of(const std::string& name, const stored_processor& p);
storage::metadata_entry no_entry_of(const std::string& name);
storage::metadata_entry pause_entry_of(const std::string& name, bool is_paused);

}  // namespace millrace::broker
