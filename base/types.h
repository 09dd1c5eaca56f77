// types: integers that cannot be mistaken for one another.
#pragma once

#include <compare>
#include <cstdint>
#include <fmt/format.h>
#include <functional>

namespace millrace {

// An integer with a name. Comparable and hashable; arithmetic is spelled out with value() so that
// offset + offset does not exist.
template <class Tag, class Rep>
class strong {
 public:
  using rep = Rep;

  constexpr strong() = default;
  constexpr explicit strong(Rep value) : value_(value) {}

  constexpr Rep value() const noexcept { return value_; }
  constexpr auto operator<=>(const strong&) const = default;

  constexpr strong next() const noexcept { return strong(static_cast<Rep>(value_ + 1)); }
  constexpr strong plus(Rep delta) const noexcept { return strong(static_cast<Rep>(value_ + delta)); }
  constexpr Rep minus(strong other) const noexcept { return static_cast<Rep>(value_ - other.value_); }

 private:
  Rep value_{};
};

// Position of a record in its partition; -1 is Kafka's "none".
using offset = strong<struct offset_tag, int64_t>;
// Log sequence number: position of a frame in a shard's write-ahead log, counted in frames.
using lsn = strong<struct lsn_tag, uint64_t>;
// Index of a partition in its topic.
using partition_id = strong<struct partition_id_tag, int32_t>;
// Index of a shard (a thread with its own event loop) in this process.
using shard_id = strong<struct shard_id_tag, uint32_t>;
using producer_id = strong<struct producer_id_tag, int64_t>;
using producer_epoch = strong<struct producer_epoch_tag, int16_t>;
using leader_epoch = strong<struct leader_epoch_tag, int32_t>;

inline constexpr offset no_offset{-1};
inline constexpr producer_id no_producer_id{-1};

}  // namespace millrace

template <class Tag, class Rep>
struct std::hash<millrace::strong<Tag, Rep>> {
  size_t operator()(millrace::strong<Tag, Rep> v) const noexcept { return std::hash<Rep>{}(v.value()); }
};

template <class Tag, class Rep>
struct fmt::formatter<millrace::strong<Tag, Rep>> : fmt::formatter<Rep> {
  template <class Context>
  auto format(millrace::strong<Tag, Rep> v, Context& context) const {
    return fmt::formatter<Rep>::format(v.value(), context);
  }
};
