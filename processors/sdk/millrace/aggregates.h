// millrace/aggregates.h: aggregates that are always asked for, with their bytes.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "serde.h"

namespace millrace {
inline namespace sdk_v1 {

// Mean and variance of numbers, without the loss of digits that sums of squares bring (Welford; merged as by
// Chan, Golub and LeVeque).
class mean {
 public:
  mean() = default;

  [[nodiscard]] mean add(double number) const {
    mean next = *this;
    ++next.count_;
    const double delta = number - mean_;
    next.mean_ += delta / static_cast<double>(next.count_);
    next.squares_ += delta * (number - next.mean_);
    return next;
  }
  [[nodiscard]] mean merge(const mean& other) const {
    if (count_ == 0) return other;
    if (other.count_ == 0) return *this;
    mean both;
    both.count_ = count_ + other.count_;
    const double delta = other.mean_ - mean_;
    const double share = static_cast<double>(other.count_) / static_cast<double>(both.count_);
    both.mean_ = mean_ + delta * share;
    both.squares_ = squares_ + other.squares_ + delta * delta * static_cast<double>(count_) * share;
    return both;
  }

  std::int64_t count() const { return count_; }
  // Not a number if there is none.
  double value() const { return count_ > 0 ? mean_ : std::nan(""); }
  // Of the numbers as a sample: the sum of squares by count - 1. Not a number if there are fewer than two.
  double variance() const { return count_ > 1 ? squares_ / static_cast<double>(count_ - 1) : std::nan(""); }

 private:
  friend struct serde<mean>;
  std::int64_t count_ = 0;
  double mean_ = 0;
  double squares_ = 0;  // sum of squared distances from the mean
};

}  // namespace sdk_v1

// Count (8 bytes, big-endian), mean and sum of squared distances from it (doubles, 8 bytes each).
template <>
struct serde<mean> {
  static void encode(const mean& from, std::string& to) {
    serde<std::int64_t>::encode(from.count_, to);
    serde<double>::encode(from.mean_, to);
    serde<double>::encode(from.squares_, to);
  }
  static mean decode(std::string_view from) {
    if (from.size() != 24) throw failure("not a mean: it has 24 bytes");
    mean made;
    made.count_ = serde<std::int64_t>::decode(from.substr(0, 8));
    made.mean_ = serde<double>::decode(from.substr(8, 8));
    made.squares_ = serde<double>::decode(from.substr(16, 8));
    return made;
  }
};

}  // namespace millrace
