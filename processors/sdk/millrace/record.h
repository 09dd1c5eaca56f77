// millrace/record.h: what processors see and make: records, headers, timers, emissions.
//
// Included by <millrace/processor.h>. Views all of them: they end with the call they came with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "millrace_processor.h"
#include "serde.h"

namespace millrace {
inline namespace sdk_v1 {

// Bytes that may be null, as Kafka's keys, values and header values are.
using maybe_bytes = std::optional<std::string_view>;

namespace detail {

inline maybe_bytes from_abi(const millrace_bytes& bytes) noexcept {
  if (bytes.size < 0) return std::nullopt;
  return std::string_view(bytes.data, static_cast<std::size_t>(bytes.size));
}

inline millrace_bytes to_abi(const maybe_bytes& bytes) noexcept {
  if (!bytes) return {nullptr, -1};
  return {bytes->data(), static_cast<std::int64_t>(bytes->size())};
}

// The text of bytes that are never null.
inline std::string_view text_of(const millrace_bytes& bytes) noexcept {
  return from_abi(bytes).value_or(std::string_view{});
}

}  // namespace detail

struct header {
  std::string_view key;
  maybe_bytes value;
};

// The headers of a record, in their order; keys may repeat. Iterable.
class header_list {
 public:
  class iterator {
   public:
    explicit iterator(const millrace_header* at) noexcept : at_(at) {}
    header operator*() const noexcept { return {detail::text_of(at_->key), detail::from_abi(at_->value)}; }
    iterator& operator++() noexcept {
      ++at_;
      return *this;
    }
    bool operator!=(const iterator& other) const noexcept { return at_ != other.at_; }

   private:
    const millrace_header* at_;
  };

  header_list(const millrace_header* first, std::size_t count) noexcept : first_(first), count_(count) {}

  iterator begin() const noexcept { return iterator(first_); }
  iterator end() const noexcept { return iterator(first_ + count_); }
  std::size_t size() const noexcept { return count_; }
  bool empty() const noexcept { return count_ == 0; }

  // The last header with that key (Kafka's convention); nothing if there is none.
  std::optional<header> find(std::string_view key) const noexcept {
    for (std::size_t i = count_; i-- > 0;)
      if (detail::text_of(first_[i].key) == key)
        return header{detail::text_of(first_[i].key), detail::from_abi(first_[i].value)};
    return std::nullopt;
  }

  const millrace_header* data() const noexcept { return first_; }

 private:
  const millrace_header* first_;
  std::size_t count_;
};

// One of several declared inputs; get it from setup::input() once, in the constructor.
class input {
 public:
  input() = default;

 private:
  friend class setup;
  friend class record;
  explicit input(std::uint32_t index) noexcept : index_(index) {}
  std::uint32_t index_ = UINT32_MAX;  // none: no record comes from it
};

// One input record. A view: valid inside process() only.
class record {
 public:
  explicit record(const millrace_record& raw) noexcept : raw_(&raw) {}

  std::int64_t offset() const noexcept { return raw_->offset; }
  // With several inputs: which one it comes from, and that one's number in the definition (else 0).
  bool is_from(input which) const noexcept { return raw_->input == which.index_; }
  std::uint32_t input_number() const noexcept { return raw_->input; }
  // Milliseconds since the Unix epoch; -1 if the producer gave none.
  std::int64_t timestamp_ms() const noexcept { return raw_->timestamp_ms; }
  maybe_bytes key() const noexcept { return detail::from_abi(raw_->key); }
  // Null is a tombstone.
  maybe_bytes value() const noexcept { return detail::from_abi(raw_->value); }
  // Decoded with serde<T>; throw if they are null or no such value.
  template <class T>
  T key_as() const {
    return decode_as<T>(key(), "key");
  }
  template <class T>
  T value_as() const {
    return decode_as<T>(value(), "value");
  }
  // Empty unless the definition says reads_headers().
  header_list headers() const noexcept { return {raw_->headers, raw_->header_count}; }

 private:
  template <class T>
  static T decode_as(const maybe_bytes& bytes, const char* part) {
    if (!bytes) throw failure(std::string("the ") + part + " is null");
    try {
      return serde<T>::decode(*bytes);
    } catch (const std::exception& e) {
      throw failure(std::string("the ") + part + " is " + e.what());
    }
  }

  const millrace_record* raw_;
};

// A timer that fires. A view: valid inside timer() only.
class timer {
 public:
  explicit timer(const millrace_timer_call& raw) noexcept : raw_(&raw) {}
  std::int64_t at_ms() const noexcept { return raw_->at_ms; }
  std::string_view key() const noexcept { return detail::text_of(raw_->key); }

 private:
  const millrace_timer_call* raw_;
};

// An entry of a store as an earlier state_version of the processor has left it. A view: valid inside
// migrate() only.
class old_entry {
 public:
  old_entry(const millrace_migration& raw, std::string_view store) noexcept : raw_(&raw), store_(store) {}
  std::uint32_t from_version() const noexcept { return raw_->from_version; }
  // The name of its store.
  std::string_view store() const noexcept { return store_; }
  std::string_view key() const noexcept { return detail::text_of(raw_->key); }
  std::string_view value() const noexcept { return detail::text_of(raw_->value); }
  // As values of another type; throws, with the reason, if they are none.
  template <class T>
  T key_as() const {
    return serde<T>::decode(key());
  }
  template <class T>
  T value_as() const {
    return serde<T>::decode(value());
  }

 private:
  const millrace_migration* raw_;
  std::string_view store_;
};

// A record to be emitted. Holds views: what they show must live until emit() returns.
class emission {
 public:
  emission() = default;
  // Key, value and headers of `source`; the timestamp is inherited in any case.
  explicit emission(const record& source) : key_(source.key()), value_(source.value()) {
    headers_.assign(source.headers().data(), source.headers().data() + source.headers().size());
  }

  emission& key(maybe_bytes key) noexcept {
    key_ = key;
    return *this;
  }
  emission& value(maybe_bytes value) noexcept {
    value_ = value;
    return *this;
  }
  // Instead of the timestamp of the input record.
  emission& timestamp_ms(std::int64_t timestamp_ms) noexcept {
    timestamp_ms_ = timestamp_ms;
    return *this;
  }
  // Appends a header after those there are.
  emission& header(std::string_view key, maybe_bytes value) {
    headers_.push_back({detail::to_abi(key), detail::to_abi(value)});
    return *this;
  }

 private:
  friend class context;
  maybe_bytes key_;
  maybe_bytes value_;
  std::int64_t timestamp_ms_ = MILLRACE_INHERIT_TIMESTAMP;
  std::vector<millrace_header> headers_;
};

}  // namespace sdk_v1
}  // namespace millrace
