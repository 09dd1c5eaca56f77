// millrace/window_store.h: how the stream level lays its stores out. Anybody who reads a changelog meets
// these bytes; docs/streams.md tells them again, with an example.
//
//   by time first   start (8) | key                          tumbling and hopping windows
//   by key first    key size (4) | key | time (8) | time (8)  sessions (end, start), sliding windows (start),
//                                                            join buffers (timestamp, offset, number)
//   calendar        what (1) | time (8) | entry's key         what is to happen to an entry once the stream
//                                                            time has come there; empty values
//
// Times are ordered<int64>: big-endian with the sign bit flipped, so that bytes sort as times do. Values
// begin with 8 bytes, big-endian: the largest timestamp among the records in them (as in Kafka's timestamped
// stores).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "processor.h"
#include "serde.h"
#include "topology.h"

namespace millrace {
inline namespace sdk_v1 {
namespace detail {

constexpr std::size_t time_bytes = 8;

inline void put_time(std::int64_t at, std::string& to) {
  serde<ordered<std::int64_t>>::encode(at, to);
}
inline std::int64_t get_time(std::string_view from, std::size_t at) {
  if (from.size() < at + time_bytes) throw failure("an entry of the store is too short");
  return serde<ordered<std::int64_t>>::decode(from.substr(at, time_bytes));
}

// ---- By time first ----
inline std::string time_first_key(std::int64_t start_ms, std::string_view key) {
  std::string bytes;
  bytes.reserve(time_bytes + key.size());
  put_time(start_ms, bytes);
  bytes.append(key);
  return bytes;
}

// ---- By key first ----
// All entries of one key begin with this, and no others.
inline std::string key_prefix(std::string_view key) {
  if (key.size() > UINT32_MAX) throw failure("the key is larger than 4 GiB");
  std::string bytes;
  bytes.reserve(4 + key.size() + 3 * time_bytes);
  put_big_endian(static_cast<std::uint32_t>(key.size()), bytes);
  bytes.append(key);
  return bytes;
}
inline std::string key_first_key(std::string_view key, std::int64_t first) {
  std::string bytes = key_prefix(key);
  put_time(first, bytes);
  return bytes;
}
inline std::string key_first_key(std::string_view key, std::int64_t first, std::int64_t second) {
  std::string bytes = key_first_key(key, first);
  put_time(second, bytes);
  return bytes;
}
// The key in one of them.
inline std::string_view key_of(std::string_view entry_key) {
  if (entry_key.size() < 4) throw failure("an entry of the store is too short");
  const auto size = get_big_endian<std::uint32_t>(entry_key.substr(0, 4), "a size");
  if (entry_key.size() - 4 < size) throw failure("an entry of the store is too short");
  return entry_key.substr(4, size);
}
// Its n-th time.
inline std::int64_t time_of(std::string_view entry_key, std::size_t n) {
  return get_time(entry_key, 4 + key_of(entry_key).size() + n * time_bytes);
}

// ---- Values ----
inline std::string stamped(std::int64_t timestamp_ms, std::string_view value) {
  std::string bytes;
  bytes.reserve(time_bytes + value.size());
  serde<std::int64_t>::encode(timestamp_ms, bytes);
  bytes.append(value);
  return bytes;
}
inline std::int64_t stamp_of(std::string_view value) {
  if (value.size() < time_bytes) throw failure("a value of the store is too short");
  return serde<std::int64_t>::decode(value.substr(0, time_bytes));
}
inline std::string_view unstamped(std::string_view value) {
  if (value.size() < time_bytes) throw failure("a value of the store is too short");
  return value.substr(time_bytes);
}

// ---- The calendar ----
// What may happen to an entry.
constexpr char to_close = 'c';
constexpr char to_remove = 'r';

inline std::string calendar_key(char what, std::int64_t at_ms, std::string_view entry_key) {
  std::string bytes(1, what);
  put_time(at_ms, bytes);
  bytes.append(entry_key);
  return bytes;
}
inline std::int64_t calendar_time(std::string_view key) {
  return get_time(key, 1);
}
inline std::string_view calendar_entry(std::string_view key) {
  return key.substr(1 + time_bytes);
}

// An entry, copied, so that stores may change.
struct copied_entry {
  std::string key;
  std::string value;
};
inline std::optional<copied_entry> copy_of(const std::optional<entry>& found) {
  if (!found) return std::nullopt;
  return copied_entry{std::string(found->key), std::string(found->value)};
}

// The first entry at or behind `at` whose key begins with `prefix`. Requires: `at` begins with it.
inline std::optional<copied_entry> first_with(const context& in, store from, std::string_view at,
                                              std::string_view prefix) {
  const auto found = in.first_from(from, at);
  if (!found || found->key.substr(0, prefix.size()) != prefix) return std::nullopt;
  return copy_of(found);
}
// The first behind it.
inline std::optional<copied_entry> next_with(const context& in, store from, std::string_view at,
                                             std::string_view prefix) {
  const auto found = in.next_behind(from, at);
  if (!found || found->key.substr(0, prefix.size()) != prefix) return std::nullopt;
  return copy_of(found);
}

// Takes what is due out of a calendar, the earliest first, and calls `act(entry's key)` for each, until
// nothing is due or so much has been done for the record at hand.
template <class Act>
void work_off(work& of, std::uint64_t bytes_max, store calendar, char what, Act act) {
  const std::string prefix(1, what);
  while (of.spent_bytes < bytes_max) {
    const auto due = first_with(*of.ctx, calendar, prefix, prefix);
    if (!due || calendar_time(due->key) > of.stream_time_ms) return;
    of.erase(calendar, due->key);
    act(calendar_entry(due->key));
  }
}

}  // namespace detail
}  // namespace sdk_v1
}  // namespace millrace
