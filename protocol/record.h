// record: what a batch is made of, read in place.
//
//   length varint | attributes int8 | timestamp delta varlong | offset delta varint
//   | key length varint, key | value length varint, value
//   | header count varint | { key length varint, key | value length varint, value } ...
//
// Integers are zigzag LEB128; `length` counts what is behind it; a length of -1 is null (not for header
// keys). Nothing is copied: a record_view points into the bytes it was read from.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace millrace::protocol {

struct record_header_view {
  std::string_view key;
  std::optional<bytes_view> value;
};

struct record_view {
  int64_t timestamp_delta = 0;
  int32_t offset_delta = 0;
  std::optional<bytes_view> key;
  std::optional<bytes_view> value;
  int32_t header_count = 0;
  bytes_view headers;  // for header_iterator
  bytes_view whole;    // the record with its length

  bool is_tombstone() const noexcept { return !value.has_value(); }
};

// Walks `count` records.
//
//   record_iterator it(records, header.record_count);
//   for (record_view r; it.next(r);) ...
//   MR_TRY(it.status());
//
// Checks all of a record, headers included, before it hands it out; after the last one, that no bytes are
// left.
class record_iterator {
 public:
  // Requires: the bytes outlive the iterator and its views. A negative `count` is an error of status().
  record_iterator(bytes_view records, int32_t count) noexcept
      : rest_(records), size_(records.size()), count_(count) {}

  // The next record; false after the last or at the first that is broken.
  bool next(record_view& out) noexcept;
  // Records handed out so far.
  int32_t index() const noexcept { return index_; }
  // Error: corruption, naming the record and what is wrong with it.
  result<> status() const;

 private:
  bool stop(const char* fault) noexcept;

  bytes_view rest_;
  size_t size_;
  int32_t count_;
  int32_t index_ = 0;
  const char* fault_ = nullptr;
};

// Walks the headers of a record that a record_iterator handed out.
class header_iterator {
 public:
  explicit header_iterator(const record_view& record) noexcept
      : rest_(record.headers), left_(record.header_count) {}
  bool next(record_header_view& out) noexcept;

 private:
  bytes_view rest_;
  int32_t left_;
};

}  // namespace millrace::protocol
