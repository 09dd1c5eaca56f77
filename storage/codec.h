// codec: little-endian fields one after another, for our own small formats (checkpoint, metadata log).
//
// The reader never reads past its end: once something does not fit it fails and everything after
// yields zero, so that a decoder checks ok() once at the end, and counts before it reserves memory.
#pragma once

#include <concepts>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/uuid.h"
#include "storage/types.h"

namespace millrace::storage {

class field_writer {
 public:
  template <std::integral T>
  void put(T value) {
    std::byte raw[sizeof(T)];
    store_le<T>(raw, value);
    put_raw(raw);
  }
  void put(const uuid& id) { put_raw(id.bytes); }
  void put(const topic_partition_id& id) {
    put(id.topic);
    put(id.partition);
  }
  void put_raw(bytes_view bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void put_bytes(bytes_view bytes) {
    put(static_cast<uint32_t>(bytes.size()));
    put_raw(bytes);
  }
  void put_text(std::string_view text) { put_bytes(as_bytes(text)); }

  std::vector<std::byte>& out() noexcept { return out_; }
  size_t size() const noexcept { return out_.size(); }

 private:
  std::vector<std::byte> out_;
};

class field_reader {
 public:
  explicit field_reader(bytes_view in) : in_(in) {}

  template <std::integral T>
  T get() {
    T value{};
    if (const bytes_view raw = get_raw(sizeof(T)); !raw.empty()) value = load_le<T>(raw.data());
    return value;
  }
  uuid get_uuid() {
    uuid id;
    if (const bytes_view raw = get_raw(id.bytes.size()); !raw.empty())
      std::memcpy(id.bytes.data(), raw.data(), raw.size());
    return id;
  }
  topic_partition_id get_partition() {
    topic_partition_id id;
    id.topic = get_uuid();
    id.partition = get<int32_t>();
    return id;
  }
  // Empty, and failed, if fewer are left.
  bytes_view get_raw(size_t bytes) {
    if (failed_ || bytes > in_.size()) {
      failed_ = true;
      return {};
    }
    const bytes_view raw = in_.first(bytes);
    in_ = in_.subspan(bytes);
    return raw;
  }
  bytes_view get_bytes() { return get_raw(get<uint32_t>()); }
  std::string get_text() { return std::string(as_text(get_bytes())); }
  // A number of items of at least `item_bytes_min` each; fails if so many cannot be left.
  uint32_t get_count(size_t item_bytes_min) {
    const auto count = get<uint32_t>();
    if (uint64_t{count} * item_bytes_min > in_.size()) failed_ = true;
    return failed_ ? 0 : count;
  }

  bool ok() const noexcept { return !failed_; }
  bool at_end() const noexcept { return in_.empty(); }

 private:
  bytes_view in_;
  bool failed_ = false;
};

}  // namespace millrace::storage
