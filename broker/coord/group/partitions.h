// topic_partitions: sets of partitions, by topic id, and the few operations a rebalance needs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <vector>

#include "base/uuid.h"

namespace millrace::broker::coord {

// Each list is sorted, without repetition and never empty.
using topic_partitions = std::map<uuid, std::vector<int32_t>>;

namespace detail {

template <class Operation>
topic_partitions combine(const topic_partitions& a, const topic_partitions& b, Operation&& operation) {
  static const std::vector<int32_t> none;
  topic_partitions out;
  const auto put = [&](const uuid& topic, const std::vector<int32_t>& x, const std::vector<int32_t>& y) {
    std::vector<int32_t> both;
    operation(x, y, std::back_inserter(both));
    if (!both.empty()) out.emplace(topic, std::move(both));
  };
  for (const auto& [topic, partitions] : a) {
    const auto other = b.find(topic);
    put(topic, partitions, other == b.end() ? none : other->second);
  }
  for (const auto& [topic, partitions] : b) {
    if (!a.contains(topic)) put(topic, none, partitions);
  }
  return out;
}

}  // namespace detail

inline topic_partitions common(const topic_partitions& a, const topic_partitions& b) {
  return detail::combine(
      a, b, [](const auto& x, const auto& y, auto out) { std::ranges::set_intersection(x, y, out); });
}
inline topic_partitions without(const topic_partitions& a, const topic_partitions& b) {
  return detail::combine(
      a, b, [](const auto& x, const auto& y, auto out) { std::ranges::set_difference(x, y, out); });
}
inline topic_partitions together(const topic_partitions& a, const topic_partitions& b) {
  return detail::combine(a, b,
                         [](const auto& x, const auto& y, auto out) { std::ranges::set_union(x, y, out); });
}
inline bool has_common(const topic_partitions& a, const topic_partitions& b) {
  return !common(a, b).empty();
}
inline bool is_within(const topic_partitions& a, const topic_partitions& b) {
  return without(a, b).empty();
}
inline bool contains(const topic_partitions& set, const uuid& topic, int32_t partition) {
  const auto found = set.find(topic);
  return found != set.end() && std::ranges::binary_search(found->second, partition);
}
// Adds what came from outside, in whatever order.
inline void add_sorted(topic_partitions& set, const uuid& topic, std::vector<int32_t> partitions) {
  if (partitions.empty()) return;
  auto& list = set[topic];
  list.insert(list.end(), partitions.begin(), partitions.end());
  std::ranges::sort(list);
  const auto rest = std::ranges::unique(list);
  list.erase(rest.begin(), rest.end());
}
inline size_t count_of(const topic_partitions& set) {
  size_t count = 0;
  for (const auto& [topic, partitions] : set) count += partitions.size();
  return count;
}

}  // namespace millrace::broker::coord
