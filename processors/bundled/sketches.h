// sketches: small summaries of many values, which can be merged, and whose bytes are what stores keep.
//
//   quantile_sketch   DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with
//                     relative-error guarantees", PVLDB 12, 2019)
//   distinct_sketch   HyperLogLog (Flajolet, Fusy, Gandouet, Meunier, 2007), exact while there are few
//   heavy_sketch      SpaceSaving (Metwally, Agrawal, El Abbadi, 2005), exact while there are few
//
// Two that have taken the same values in the same order have the same bytes.
#pragma once

#include <cstdint>
#include <map>
#include <millrace/serde.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::bundled {

// Small numbers as few bytes, seven bits each, the lowest first.
void put_varint(std::uint64_t value, std::string& to);
// Takes it from the front. Throws if there is none.
std::uint64_t take_varint(std::string_view& from);
void put_bytes(std::string_view bytes, std::string& to);
std::string_view take_bytes(std::string_view& from);
void put_double(double value, std::string& to);
double take_double(std::string_view& from);

// Quantiles of finite numbers, at most 1 % off (of the value). Numbers closer to 0 than 1e-9 count as 0.
// Keeps at most 2,048 buckets on each side of 0; beyond that those nearest to 0 are joined.
class quantile_sketch {
 public:
  void add(double value) { add(value, 1); }
  void merge(const quantile_sketch& other);
  std::uint64_t count() const;
  // The value of rank q * (count - 1), rounded down. Requires: count() > 0, 0 <= q <= 1.
  double quantile(double q) const;
  void encode(std::string& to) const;
  static quantile_sketch decode(std::string_view& from);

 private:
  using buckets = std::map<std::int32_t, std::uint64_t>;  // gamma^(i-1) < |value| <= gamma^i
  void add(double value, std::uint64_t times);
  static void shrink(buckets& from);

  buckets positive_;
  buckets negative_;
  std::uint64_t zeros_ = 0;
};

// How many different values: exact up to 128, else with a standard error of 2.3 %.
class distinct_sketch {
 public:
  void add(std::string_view value);
  void merge(const distinct_sketch& other);
  std::uint64_t estimate() const;
  void encode(std::string& to) const;
  static distinct_sketch decode(std::string_view& from);

 private:
  static constexpr unsigned precision = 11;
  static constexpr std::size_t registers = std::size_t{1} << precision;
  static constexpr std::size_t exact_max = 128;

  void add_hash(std::uint64_t hash);
  void count(std::uint64_t hash);

  std::vector<std::uint64_t> hashes_;  // sorted, while they are few
  std::string ranks_;                  // one byte a register, once they are many
};

// The values of the largest weight. Keeps ten times as many as are asked for: what is among the largest is
// found if its weight is more than a share of 1 / that of all; weights are never too small, and too large by
// `error` at most.
class heavy_sketch {
 public:
  struct entry {
    double weight = 0;
    double error = 0;
  };
  explicit heavy_sketch(std::size_t top) : top_(top) {}
  // Requires: weight >= 0, finite.
  void add(std::string_view value, double weight);
  void merge(const heavy_sketch& other);
  // The largest first; of equal ones the first by their bytes.
  std::vector<std::pair<std::string, entry>> largest() const;
  void encode(std::string& to) const;
  static heavy_sketch decode(std::size_t top, std::string_view& from);

 private:
  std::size_t capacity() const { return 10 * top_; }
  void shrink();

  std::size_t top_;
  std::map<std::string, entry, std::less<>> entries_;
};

}  // namespace millrace::bundled
