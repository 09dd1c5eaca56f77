#include "processors/bundled/sketches.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace millrace::bundled {
namespace {

// DDSketch with a relative error of 1 %.
constexpr double relative_error = 0.01;
constexpr double gamma = (1 + relative_error) / (1 - relative_error);
constexpr double smallest = 1e-9;
constexpr std::size_t buckets_max = 2048;
// Of numbers up to the largest double: log(1.8e308) / log(gamma) is below 36,000.
constexpr std::int64_t index_max = 40'000;

std::int32_t bucket_of(double magnitude) {
  static const double log_gamma = std::log(gamma);
  return static_cast<std::int32_t>(std::ceil(std::log(magnitude) / log_gamma));
}
double value_of(std::int32_t bucket) {
  const double value = 2 * std::pow(gamma, bucket) / (gamma + 1);
  return std::isfinite(value) ? value : std::numeric_limits<double>::max();
}

// 64 bits of any text, well mixed: FNV-1a, finished as MurmurHash3 does.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  h = (h ^ h >> 33) * 0xff51afd7ed558ccd;
  h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53;
  return h ^ h >> 33;
}

[[noreturn]] void broken() {
  throw failure("what the store holds is no sketch");
}

}  // namespace

void put_varint(std::uint64_t value, std::string& to) {
  for (; value >= 0x80; value >>= 7) to += static_cast<char>((value & 0x7f) | 0x80);
  to += static_cast<char>(value);
}

std::uint64_t take_varint(std::string_view& from) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (from.empty()) broken();
    const auto byte = static_cast<unsigned char>(from[0]);
    from.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  broken();
}

void put_bytes(std::string_view bytes, std::string& to) {
  put_varint(bytes.size(), to);
  to.append(bytes);
}

std::string_view take_bytes(std::string_view& from) {
  const std::uint64_t size = take_varint(from);
  if (size > from.size()) broken();
  const std::string_view bytes = from.substr(0, size);
  from.remove_prefix(size);
  return bytes;
}

void put_double(double value, std::string& to) {
  serde<double>::encode(value, to);
}

double take_double(std::string_view& from) {
  if (from.size() < 8) broken();
  const double value = serde<double>::decode(from.substr(0, 8));
  from.remove_prefix(8);
  return value;
}

// ---- quantile_sketch

void quantile_sketch::add(double value, std::uint64_t times) {
  if (std::fabs(value) < smallest) {
    zeros_ += times;
    return;
  }
  buckets& side = value > 0 ? positive_ : negative_;
  side[bucket_of(std::fabs(value))] += times;
  shrink(side);
}

void quantile_sketch::shrink(buckets& from) {
  while (from.size() > buckets_max) {
    const std::uint64_t times = from.begin()->second;
    from.erase(from.begin());
    from.begin()->second += times;
  }
}

void quantile_sketch::merge(const quantile_sketch& other) {
  zeros_ += other.zeros_;
  for (const auto& [bucket, times] : other.positive_) positive_[bucket] += times;
  for (const auto& [bucket, times] : other.negative_) negative_[bucket] += times;
  shrink(positive_);
  shrink(negative_);
}

std::uint64_t quantile_sketch::count() const {
  std::uint64_t all = zeros_;
  for (const auto& [bucket, times] : positive_) all += times;
  for (const auto& [bucket, times] : negative_) all += times;
  return all;
}

double quantile_sketch::quantile(double q) const {
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
void quantile_sketch::encode(std::string& to) const {
  put_varint(zeros_, to);
  for (const buckets* side : {&positive_, &negative_}) {
    put_varint(side->size(), to);
    std::int64_t before = -index_max;
    for (const auto& [bucket, times] : *side) {
      put_varint(static_cast<std::uint64_t>(bucket - before), to);
      put_varint(times, to);
      before = bucket;
    }
  }
}

quantile_sketch quantile_sketch::decode(std::string_view& from) {
  quantile_sketch made;
  made.zeros_ = take_varint(from);
  for (buckets* side : {&made.positive_, &made.negative_}) {
    std::int64_t at = -index_max;
    for (std::uint64_t left = take_varint(from); left > 0; --left) {
      const std::uint64_t step = take_varint(from);
      if (step > 2 * index_max || (at += static_cast<std::int64_t>(step)) > index_max) broken();
      side->emplace_hint(side->end(), static_cast<std::int32_t>(at), take_varint(from));
    }
  }
  return made;
}

// ---- distinct_sketch

void distinct_sketch::add(std::string_view value) {
  add_hash(hash_of(value));
}

void distinct_sketch::add_hash(std::uint64_t hash) {
  if (!ranks_.empty()) return count(hash);
  const auto at = std::lower_bound(hashes_.begin(), hashes_.end(), hash);
  if (at != hashes_.end() && *at == hash) return;
  hashes_.insert(at, hash);
  if (hashes_.size() <= exact_max) return;
  ranks_.assign(registers, '\0');
  for (const std::uint64_t h : hashes_) count(h);
  hashes_.clear();
}

void distinct_sketch::count(std::uint64_t hash) {
  const std::size_t at = hash >> (64 - precision);
  const auto rank =
      static_cast<char>(std::countl_zero(hash << precision | (std::uint64_t{1} << (precision - 1))) + 1);
  ranks_[at] = std::max(ranks_[at], rank);
}

void distinct_sketch::merge(const distinct_sketch& other) {
  if (other.ranks_.empty()) {
    for (const std::uint64_t hash : other.hashes_) add_hash(hash);
    return;
  }
  if (ranks_.empty()) {
    const std::vector<std::uint64_t> mine = std::move(hashes_);
    *this = other;
    for (const std::uint64_t hash : mine) count(hash);
    return;
  }
  for (std::size_t i = 0; i < registers; ++i) ranks_[i] = std::max(ranks_[i], other.ranks_[i]);
}

std::uint64_t distinct_sketch::estimate() const {
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

void distinct_sketch::encode(std::string& to) const {
  put_varint(ranks_.empty() ? hashes_.size() : exact_max + 1, to);
  for (const std::uint64_t hash : hashes_) detail::put_big_endian(hash, to);
  to += ranks_;
}

distinct_sketch distinct_sketch::decode(std::string_view& from) {
  distinct_sketch made;
  const std::uint64_t count = take_varint(from);
  const std::size_t size = count > exact_max ? registers : count * 8;
  if (from.size() < size) broken();
  if (count > exact_max)
    made.ranks_ = from.substr(0, size);
  else
    for (std::size_t i = 0; i < count; ++i)
      made.hashes_.push_back(detail::get_big_endian<std::uint64_t>(from.substr(i * 8, 8), "a hash"));
  from.remove_prefix(size);
  return made;
}

// ---- heavy_sketch

void heavy_sketch::add(std::string_view value, double weight) {
  if (const auto known = entries_.find(value); known != entries_.end()) {
    known->second.weight += weight;
    return;
  }
  entry made{weight, 0};
  if (entries_.size() >= capacity()) {
    // The smallest gives way; what it had may have been the new one's.
    const auto least = std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
      return a.second.weight < b.second.weight;
    });
    made = {least->second.weight + weight, least->second.weight};
    entries_.erase(least);
  }
  entries_.emplace(value, made);
}

void heavy_sketch::merge(const heavy_sketch& other) {
  for (const auto& [value, theirs] : other.entries_) {
    entry& mine = entries_[value];
    mine.weight += theirs.weight;
    mine.error += theirs.error;
  }
  shrink();
}

void heavy_sketch::shrink() {
  while (entries_.size() > capacity())
    entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
      return a.second.weight < b.second.weight;
    }));
}

std::vector<std::pair<std::string, heavy_sketch::entry>> heavy_sketch::largest() const {
  std::vector<std::pair<std::string, entry>> all(entries_.begin(), entries_.end());
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.second.weight != b.second.weight ? a.second.weight > b.second.weight : a.first < b.first;
  });
  if (all.size() > top_) all.resize(top_);
  return all;
}

void heavy_sketch::encode(std::string& to) const {
  put_varint(entries_.size(), to);
  for (const auto& [value, one] : entries_) {
    put_bytes(value, to);
    put_double(one.weight, to);
    put_double(one.error, to);
  }
}

heavy_sketch heavy_sketch::decode(std::size_t top, std::string_view& from) {
  heavy_sketch made(top);
  for (std::uint64_t left = take_varint(from); left > 0; --left) {
    const std::string_view value = take_bytes(from);
    entry one;
    one.weight = take_double(from);
    one.error = take_double(from);
    made.entries_.emplace_hint(made.entries_.end(), value, one);
  }
  return made;
}

}  // namespace millrace::bundled
