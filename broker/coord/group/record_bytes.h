// record_bytes: keys and values of __consumer_offsets as bytes: a type or version, then the message.
#pragma once

#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "base/buffer.h"
#include "protocol/message.h"

namespace millrace::broker::coord {

inline constexpr int16_t key_version = 0;

namespace detail {

template <class Message>
std::vector<std::byte> bytes_of(const Message& message, int16_t prefix, int16_t version) {
  protocol::writer out;
  out.put(prefix);
  message.encode(out, version);
  MR_ASSERT(!out.is_truncated());  // handlers refuse ids that are too long (ids.h)
  const slice bytes = std::move(out).finish().flatten();
  return {bytes.data(), bytes.data() + bytes.size()};
}

}  // namespace detail

template <class Key>
std::vector<std::byte> key_bytes(const Key& key) {
  return detail::bytes_of(key, Key::record_type, key_version);
}

template <class Value>
std::vector<std::byte> value_bytes(const Value& value, int16_t version) {
  return detail::bytes_of(value, version, version);
}

}  // namespace millrace::broker::coord
