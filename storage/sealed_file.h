// sealed_file: the head of a small file that is written and read as a whole (checkpoint, manifest of an
// import): magic 7, version 1, length of the body 8, XXH3 of it 8; little-endian.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace millrace::storage {

inline constexpr size_t seal_bytes = 24;

struct seal_kind {
  std::string_view magic;  // 7 bytes
  uint8_t version;         // that is written
  uint8_t oldest;          // that is read
  std::string_view what;   // "checkpoint", for messages
};

// Fills in the first `seal_bytes` of `file`, which the rest follows.
void seal(std::vector<std::byte>& file, const seal_kind& kind);

struct unsealed {
  uint8_t version = 0;
  bytes_view body;  // of the file that was given
};

// errc::corruption for another file or a damaged one, errc::not_supported for another version. `path` is for
// the message.
result<unsealed> unseal(bytes_view file, const seal_kind& kind, const std::string& path);

}  // namespace millrace::storage
