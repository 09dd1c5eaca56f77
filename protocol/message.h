// message: what every generated message shares.
//
// A message is a plain struct with its schema's fields and defaults:
//
//   static constexpr api_key api;                      requests and responses
//   static constexpr int16_t record_type;              keys and values of the coordinators' topics
//   static constexpr int16_t version_min, version_max, flexible_min;
//   static result<T> decode(reader&, int16_t version);
//   void encode(writer&, int16_t version) const;       fields the version lacks are left out
//   operator==
//
// Both require version_min <= version <= version_max. Requests view the bytes they were decoded from;
// everything else owns what it holds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/result.h"
#include "base/uuid.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::protocol {

// flexible_min of a message that has no flexible version.
inline constexpr int16_t never_flexible = INT16_MAX;

// A message as bytes of its own.
template <class Message>
slice encode_to_slice(const Message& message, int16_t version) {
  writer out;
  message.encode(out, version);
  return std::move(out).finish().flatten();
}

// The form of keys, values and data records: an int16 before the message. It is the record type before
// a coordinator's key, the message's version everywhere else.
template <class Message>
slice encode_with_prefix(const Message& message, int16_t prefix, int16_t version) {
  writer out;
  out.put(prefix);
  message.encode(out, version);
  return std::move(out).finish().flatten();
}

// Reads that form where the prefix is the version. Error: malformed, or not_supported for a version the
// schema does not have.
template <class Message>
result<Message> decode_versioned(slice bytes) {
  reader in(std::move(bytes));
  int16_t version = 0;
  in.get(version, "version");
  MR_TRY(in.status("versioned message", 0));
  if (version < Message::version_min || version > Message::version_max) {
    return fail(errc::not_supported, "version {} of a message known from {} to {}", version,
                Message::version_min, Message::version_max);
  }
  return Message::decode(in, version);
}

// Equality of the field types that have no operator== of their own.
inline bool same(bytes_view a, bytes_view b) noexcept {
  return std::ranges::equal(a, b);
}
inline bool same(const iobuf& a, const iobuf& b) {
  return same(a.flatten().view(), b.flatten().view());
}
template <class T>
bool same(const std::optional<T>& a, const std::optional<T>& b) {
  return a.has_value() == b.has_value() && (!a || same(*a, *b));
}

}  // namespace millrace::protocol
