// histogram: log-linear counts (16 steps a power of two, under 6.3 % error), for latencies and sizes.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace millrace {

class histogram {
 public:
  void add(uint64_t value) noexcept {
    ++counts_[bucket_of(value)];
    ++count_;
    sum_ += value;
    if (value > max_) max_ = value;
  }

  uint64_t count() const noexcept { return count_; }
  uint64_t sum() const noexcept { return sum_; }
  uint64_t max() const noexcept { return max_; }

  // Upper bound of the bucket that holds the `q`-quantile (0 < q <= 1), at most max(); 0 when empty.
  uint64_t quantile(double q) const noexcept {
    if (count_ == 0) return 0;
    const auto wanted = static_cast<uint64_t>(q * static_cast<double>(count_) + 0.5);
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= wanted && seen > 0) return upper_bound(i) < max_ ? upper_bound(i) : max_;
    }
    return max_;
  }

  void merge(const histogram& other) noexcept {
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    if (other.max_ > max_) max_ = other.max_;
  }

 private:
  static constexpr int step_bits = 4;
  static constexpr size_t steps = size_t{1} << step_bits;

  static size_t bucket_of(uint64_t value) noexcept {
    if (value < steps) return value;
    const int shift = std::bit_width(value) - 1 - step_bits;
    return static_cast<size_t>(shift) * steps + (value >> shift);
  }
  static uint64_t upper_bound(size_t bucket) noexcept {
    if (bucket < 2 * steps) return bucket;
    const size_t shift = bucket / steps - 1;
    return (((bucket % steps) + steps + 1) << shift) - 1;
  }

  std::array<uint64_t, (64 - step_bits + 1) * steps> counts_{};
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t max_ = 0;
};

}  // namespace millrace
