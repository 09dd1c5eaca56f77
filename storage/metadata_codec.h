// metadata_codec: the entries of the metadata log as bytes.
//
// An entry is a kind byte and a body of little-endian fields, in the order of the structs in
// metadata_log.h; text is a 4-byte length and bytes; a map is a count and pairs. Kinds never change their
// meaning; a new field needs a new kind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "storage/metadata_log.h"

namespace millrace::storage {

struct encoded_entry {
  uint8_t kind = 0;
  std::vector<std::byte> body;
};

encoded_entry encode(const metadata_entry& entry);
// errc::corruption for a body that does not fit its kind; errc::not_supported for an unknown kind.
result<metadata_entry> decode_metadata(uint8_t kind, bytes_view body);

// Entries that rebuild this state from nothing.
std::vector<metadata_entry> entries_of(const metadata_state& state);

}  // namespace millrace::storage
