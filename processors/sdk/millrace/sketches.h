// millrace/sketches.h: small summaries of many values, which can be merged, and whose bytes are what stores
// keep.
//
//     .aggregate("speeds", millrace::quantile_sketch(),
//                [](double speed, millrace::quantile_sketch s) { return s.add(speed); })
//     .map_values([](const millrace::quantile_sketch& s) { return s.quantile(0.95); })
//
//   quantile_sketch   DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with
//                     relative-error guarantees", PVLDB 12, 2019)
//   distinct_sketch   HyperLogLog (Flajolet, Fusy, Gandouet, Meunier, 2007), exact while there are few
//   heavy_sketch      SpaceSaving (Metwally, Agrawal, El Abbadi, 2005), exact while there are few
//
// Two that have taken the same values in the same order have the same bytes. encode() and decode() of each
// put the bytes behind others, and take them from the front of others; serde makes them a value of their own.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serde.h"

namespace millrace {
inline namespace sdk_v1 {
namespace detail {

[[noreturn]] inline void no_sketch() {
  throw failure("not a sketch");
}

// Small numbers as few bytes, seven bits each, the lowest first.
inline void put_varint(std::uint64_t value, std::string& to) {
  for (; value >= 0x80; value >>= 7) to += static_cast<char>((value & 0x7f) | 0x80);
  to += static_cast<char>(value);
}
// Takes it from the front. Throws if there is none.
inline std::uint64_t take_varint(std::string_view& from) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (from.empty()) no_sketch();
    const auto byte = static_cast<unsigned char>(from[0]);
    from.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  no_sketch();
}
inline std::string_view take_bytes(std::uint64_t size, std::string_view& from) {
  if (size > from.size()) no_sketch();
  const std::string_view bytes = from.substr(0, static_cast<std::size_t>(size));
  from.remove_prefix(static_cast<std::size_t>(size));
  return bytes;
}
inline void put_double(double value, std::string& to) {
  serde<double>::encode(value, to);
}
inline double take_double(std::string_view& from) {
  return serde<double>::decode(take_bytes(8, from));
}

// 64 bits of any text, well mixed: FNV-1a, finished as MurmurHash3 does.
inline std::uint64_t mixed_hash(std::string_view text) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  h = (h ^ h >> 33) * 0xff51afd7ed558ccd;
  h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53;
  return h ^ h >> 33;
}

}  // namespace detail

// Quantiles of finite numbers, at most 1 % off (of the value). Numbers closer to 0 than 1e-9 count as 0.
// Keeps at most 2,048 buckets on each side of 0; beyond that those nearest to 0 are joined.
class quantile_sketch {
 public:
  // Throws if it is not finite.
  quantile_sketch& add(double value) {
    if (!std::isfinite(value)) throw failure("quantiles are of finite numbers");
    if (std::fabs(value) < smallest) {
      ++zeros_;
      return *this;
    }
    buckets& side = value > 0 ? positive_ : negative_;
    ++side[bucket_of(std::fabs(value))];
    shrink(side);
    return *this;
  }
  quantile_sketch& merge(const quantile_sketch& other) {
    zeros_ += other.zeros_;
    for (const auto& [bucket, times] : other.positive_) positive_[bucket] += times;
    for (const auto& [bucket, times] : other.negative_) negative_[bucket] += times;
    shrink(positive_);
    shrink(negative_);
    return *this;
  }
  std::uint64_t count() const {
    std::uint64_t all = zeros_;
    for (const auto& [bucket, times] : positive_) all += times;
    for (const auto& [bucket, times] : negative_) all += times;
    return all;
  }
  // The value of rank q * (count - 1), rounded down; 0 <= q <= 1. Not a number if there is none.
  double quantile(double q) const {
    if (count() == 0) return std::nan("");
    const auto rank = static_cast<std::uint64_t>(q * static_cast<double>(count() - 1));
    std::uint64_t seen = 0;
    for (auto at = negative_.rbegin(); at != negative_.rend(); ++at)
      if ((seen += at->second) > rank) return -value_of(at->first);
    if ((seen += zeros_) > rank) return 0;
    for (const auto& [bucket, times] : positive_)
      if ((seen += times) > rank) return value_of(bucket);
    return positive_.empty() ? 0 : value_of(positive_.rbegin()->first);
  }

  // Zeros, and for each side the number of buckets and the buckets: distance from the one before, times.
  void encode(std::string& to) const {
    detail::put_varint(zeros_, to);
    for (const buckets* side : {&positive_, &negative_}) {
      detail::put_varint(side->size(), to);
      std::int64_t before = -index_max;
      for (const auto& [bucket, times] : *side) {
        detail::put_varint(static_cast<std::uint64_t>(bucket - before), to);
        detail::put_varint(times, to);
        before = bucket;
      }
    }
  }
  static quantile_sketch decode(std::string_view& from) {
    quantile_sketch made;
    made.zeros_ = detail::take_varint(from);
    for (buckets* side : {&made.positive_, &made.negative_}) {
      std::int64_t at = -index_max;
      for (std::uint64_t left = detail::take_varint(from); left > 0; --left) {
        const std::uint64_t step = detail::take_varint(from);
        if (step > 2 * index_max || (at += static_cast<std::int64_t>(step)) > index_max) detail::no_sketch();
        side->emplace_hint(side->end(), static_cast<std::int32_t>(at), detail::take_varint(from));
      }
    }
    return made;
  }

 private:
  using buckets = std::map<std::int32_t, std::uint64_t>;  // gamma^(i-1) < |value| <= gamma^i

  static constexpr double relative_error = 0.01;
  static constexpr double gamma = (1 + relative_error) / (1 - relative_error);
  static constexpr double smallest = 1e-9;
  static constexpr std::size_t buckets_max = 2048;
  // Of numbers up to the largest double: log(1.8e308) / log(gamma) is below 36,000.
  static constexpr std::int64_t index_max = 40'000;

  static std::int32_t bucket_of(double magnitude) {
    static const double log_gamma = std::log(gamma);
    return static_cast<std::int32_t>(std::ceil(std::log(magnitude) / log_gamma));
  }
  static double value_of(std::int32_t bucket) {
    const double value = 2 * std::pow(gamma, bucket) / (gamma + 1);
    return std::isfinite(value) ? value : std::numeric_limits<double>::max();
  }
  static void shrink(buckets& from) {
    while (from.size() > buckets_max) {
      const std::uint64_t times = from.begin()->second;
      from.erase(from.begin());
      from.begin()->second += times;
    }
  }

  buckets positive_;
  buckets negative_;
  std::uint64_t zeros_ = 0;
};

// How many different values: exact up to 128, else with a standard error of 2.3 %; 2 KiB at most.
class distinct_sketch {
 public:
  distinct_sketch& add(std::string_view value) {
    add_hash(detail::mixed_hash(value));
    return *this;
  }
  distinct_sketch& merge(const distinct_sketch& other) {
    if (other.ranks_.empty()) {
      for (const std::uint64_t hash : other.hashes_) add_hash(hash);
    } else if (ranks_.empty()) {
      const std::vector<std::uint64_t> mine = std::move(hashes_);
      *this = other;
      for (const std::uint64_t hash : mine) count(hash);
    } else {
      for (std::size_t i = 0; i < registers; ++i) ranks_[i] = std::max(ranks_[i], other.ranks_[i]);
    }
    return *this;
  }
  std::uint64_t estimate() const {
    if (ranks_.empty()) return hashes_.size();
    const auto m = static_cast<double>(registers);
    double sum = 0;
    std::size_t zeros = 0;
    for (const char rank : ranks_) {
      sum += std::ldexp(1.0, -rank);
      if (rank == 0) ++zeros;
    }
    const double raw = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    // The paper's correction for small ranges; with 64-bit hashes large ones need none.
    const double best = raw <= 2.5 * m && zeros > 0 ? m * std::log(m / static_cast<double>(zeros)) : raw;
    return static_cast<std::uint64_t>(std::llround(best));
  }

  // The number of hashes and these, 8 bytes each; or 129 and the registers.
  void encode(std::string& to) const {
    detail::put_varint(ranks_.empty() ? hashes_.size() : exact_max + 1, to);
    for (const std::uint64_t hash : hashes_) detail::put_big_endian(hash, to);
    to += ranks_;
  }
  static distinct_sketch decode(std::string_view& from) {
    distinct_sketch made;
    const std::uint64_t count = detail::take_varint(from);
    const std::string_view bytes = detail::take_bytes(count > exact_max ? registers : count * 8, from);
    if (count > exact_max)
      made.ranks_ = bytes;
    else
      for (std::size_t i = 0; i < count; ++i)
        made.hashes_.push_back(detail::get_big_endian<std::uint64_t>(bytes.substr(i * 8, 8), "a hash"));
    return made;
  }

 private:
  static constexpr unsigned precision = 11;
  static constexpr std::size_t registers = std::size_t{1} << precision;
  static constexpr std::size_t exact_max = 128;

  void add_hash(std::uint64_t hash) {
    if (!ranks_.empty()) return count(hash);
    const auto at = std::lower_bound(hashes_.begin(), hashes_.end(), hash);
    if (at != hashes_.end() && *at == hash) return;
    hashes_.insert(at, hash);
    if (hashes_.size() <= exact_max) return;
    ranks_.assign(registers, '\0');
    for (const std::uint64_t h : hashes_) count(h);
    hashes_.clear();
  }
  void count(std::uint64_t hash) {
    const std::size_t at = hash >> (64 - precision);
    std::uint64_t left = hash << precision | (std::uint64_t{1} << (precision - 1));
    char rank = 1;
    for (; left >> 63 == 0; left <<= 1) ++rank;
    ranks_[at] = std::max(ranks_[at], rank);
  }

  std::vector<std::uint64_t> hashes_;  // sorted, while they are few
  std::string ranks_;                  // one byte a register, once they are many
};

// The `top` values of the largest weight. Keeps ten times as many as are asked for: what is among the largest
// is found if its weight is more than a share of 1 / that of all; weights are never too small, and too large
// by `error` at most.
class heavy_sketch {
 public:
  struct entry {
    double weight = 0;
    double error = 0;
  };
  explicit heavy_sketch(std::size_t top) : top_(top) {}
  // Requires: weight >= 0, finite.
  heavy_sketch& add(std::string_view value, double weight = 1) {
    if (const auto known = entries_.find(value); known != entries_.end()) {
      known->second.weight += weight;
      return *this;
    }
    entry made{weight, 0};
    if (entries_.size() >= capacity() && !entries_.empty()) {
      // The smallest gives way; what it had may have been the new one's.
      const auto least = smallest();
      made = {least->second.weight + weight, least->second.weight};
      entries_.erase(least);
    }
    entries_.emplace(value, made);
    return *this;
  }
  heavy_sketch& merge(const heavy_sketch& other) {
    for (const auto& [value, theirs] : other.entries_) {
      entry& mine = entries_[value];
      mine.weight += theirs.weight;
      mine.error += theirs.error;
    }
    while (entries_.size() > capacity()) entries_.erase(smallest());
    return *this;
  }
  // The largest first; of equal ones the first by their bytes.
  std::vector<std::pair<std::string, entry>> largest() const {
    std::vector<std::pair<std::string, entry>> all(entries_.begin(), entries_.end());
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return a.second.weight != b.second.weight ? a.second.weight > b.second.weight : a.first < b.first;
    });
    if (all.size() > top_) all.resize(top_);
    return all;
  }
  std::size_t top() const { return top_; }

  // The number of entries, and each: size of the value, the value, weight, error.
  void encode(std::string& to) const {
    detail::put_varint(entries_.size(), to);
    for (const auto& [value, one] : entries_) {
      detail::put_varint(value.size(), to);
      to.append(value);
      detail::put_double(one.weight, to);
      detail::put_double(one.error, to);
    }
  }
  static heavy_sketch decode(std::size_t top, std::string_view& from) {
    heavy_sketch made(top);
    for (std::uint64_t left = detail::take_varint(from); left > 0; --left) {
      const std::string_view value = detail::take_bytes(detail::take_varint(from), from);
      entry one;
      one.weight = detail::take_double(from);
      one.error = detail::take_double(from);
      made.entries_.emplace_hint(made.entries_.end(), value, one);
    }
    return made;
  }

 private:
  using entries = std::map<std::string, entry, std::less<>>;
  std::size_t capacity() const { return 10 * top_; }
  entries::iterator smallest() {
    return std::min_element(entries_.begin(), entries_.end(),
                            [](const auto& a, const auto& b) { return a.second.weight < b.second.weight; });
  }

  std::size_t top_;
  entries entries_;
};

}  // namespace sdk_v1

template <>
struct serde<quantile_sketch> {
  static void encode(const quantile_sketch& from, std::string& to) { from.encode(to); }
  static quantile_sketch decode(std::string_view from) {
    const quantile_sketch made = quantile_sketch::decode(from);
    if (!from.empty()) sdk_v1::detail::no_sketch();
    return made;
  }
};

template <>
struct serde<distinct_sketch> {
  static void encode(const distinct_sketch& from, std::string& to) { from.encode(to); }
  static distinct_sketch decode(std::string_view from) {
    const distinct_sketch made = distinct_sketch::decode(from);
    if (!from.empty()) sdk_v1::detail::no_sketch();
    return made;
  }
};

// Behind how many are asked for.
template <>
struct serde<heavy_sketch> {
  static void encode(const heavy_sketch& from, std::string& to) {
    sdk_v1::detail::put_varint(from.top(), to);
    from.encode(to);
  }
  static heavy_sketch decode(std::string_view from) {
    const std::uint64_t top = sdk_v1::detail::take_varint(from);
    const heavy_sketch made = heavy_sketch::decode(static_cast<std::size_t>(top), from);
    if (!from.empty()) sdk_v1::detail::no_sketch();
    return made;
  }
};

}  // namespace millrace
