// millrace/stream_steps.h: streams, and the steps that keep nothing. For <millrace/stream.h>, where they are
// shown.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "processor.h"
#include "stream_port.h"
#include "topology.h"
#include "windows.h"

namespace millrace {
inline namespace sdk_v1 {

template <class K, class V>
class grouped;
template <class K, class V>
class ktable;
struct join_windows;

// Says that records of one key are in one partition although the key has changed.
struct within_partition_t {};
constexpr within_partition_t within_partition{};

template <class K, class V>
class stream {
 public:
  explicit stream(detail::place<K, V> at) : at_(std::move(at)) {}

  // Those for which `keep` is true.
  template <class F>
  stream filter(F keep) const {
    auto next = detail::behind<K, V>(at_, "filter", at_.has_new_key);
    at_.from->connect([keep, out = next.from](const K& k, const V& v, const detail::moment& when) {
      if (detail::apply_to(keep, k, v)) out->push(k, v, when);
    });
    return stream(next);
  }

  // Each as the std::pair of key and value that `f` gives.
  template <class F, class Pair = detail::result_of<F, K, V>>
  stream<typename Pair::first_type, typename Pair::second_type> map(F f) const {
    auto next = detail::behind<typename Pair::first_type, typename Pair::second_type>(at_, "map", true);
    at_.from->connect([f, out = next.from](const K& k, const V& v, const detail::moment& when) {
      const auto made = detail::apply_to(f, k, v);
      out->push(made.first, made.second, when);
    });
    return stream<typename Pair::first_type, typename Pair::second_type>(next);
  }

  template <class F, class V2 = detail::result_of<F, K, V>>
  stream<K, V2> map_values(F f) const {
    auto next = detail::behind<K, V2>(at_, "map_values", at_.has_new_key);
    at_.from->connect([f, out = next.from](const K& k, const V& v, const detail::moment& when) {
      out->push(k, detail::apply_to(f, k, v), when);
    });
    return stream<K, V2>(next);
  }

  // As many as `f` gives, in a container of std::pair of key and value.
  template <class F, class Pair = typename detail::result_of<F, K, V>::value_type>
  stream<typename Pair::first_type, typename Pair::second_type> flat_map(F f) const {
    auto next = detail::behind<typename Pair::first_type, typename Pair::second_type>(at_, "flat_map", true);
    at_.from->connect([f, out = next.from](const K& k, const V& v, const detail::moment& when) {
      const auto all = detail::apply_to(f, k, v);
      for (const auto& made : all) out->push(made.first, made.second, when);
    });
    return stream<typename Pair::first_type, typename Pair::second_type>(next);
  }

  // As many values under the same key.
  template <class F, class V2 = typename detail::result_of<F, K, V>::value_type>
  stream<K, V2> flat_map_values(F f) const {
    auto next = detail::behind<K, V2>(at_, "flat_map_values", at_.has_new_key);
    at_.from->connect([f, out = next.from](const K& k, const V& v, const detail::moment& when) {
      const auto all = detail::apply_to(f, k, v);
      for (const auto& made : all) out->push(k, made, when);
    });
    return stream<K, V2>(next);
  }

  // Under the key that `f` gives.
  template <class F, class K2 = detail::result_of<F, K, V>>
  stream<K2, V> select_key(F f) const {
    return with_key<K2>(std::move(f), true);
  }
  template <class F, class K2 = detail::result_of<F, K, V>>
  stream<K2, V> select_key(F f, within_partition_t) const {
    return with_key<K2>(std::move(f), false);
  }

  // One stream for each condition: a record goes to the first that holds for it, or nowhere.
  //     auto [large, small] = amounts.branch(is_large, [](double) { return true; });
  template <class... Conditions>
  std::array<stream, sizeof...(Conditions)> branch(Conditions... conditions) const {
    static_assert(sizeof...(Conditions) > 0, "a condition is expected");
    const auto split = detail::behind<K, V>(at_, "branch", at_.has_new_key);
    const auto way = [&](std::size_t number) {
      return detail::behind<K, V>(split, "way " + std::to_string(number), at_.has_new_key);
    };
    return branch_into(way, std::index_sequence_for<Conditions...>(), conditions...);
  }

  // Records of both, as they come.
  stream merge(const stream& other) const {
    auto next = detail::behind<K, V>(at_, "merge", at_.has_new_key || other.at_.has_new_key);
    at_.in->add_source(next.step, other.at_.step);
    const auto pass = [out = next.from](const K& k, const V& v, const detail::moment& when) {
      out->push(k, v, when);
    };
    at_.from->connect(pass);
    other.at_.from->connect(pass);
    return stream(next);
  }

  // Records of one key belong together from here on. Null keys (of a std::optional<...>) have no place there:
  // they are dropped and counted as `records_without_key`.
  auto group_by_key() const {
    at_.require_own_key();
    return group("group_by_key");
  }
  // The same by another key, for input whose partitions suit that key as well.
  template <class F>
  auto group_by(F f, within_partition_t) const {
    return select_key(std::move(f), within_partition).group("group_by");
  }

  // To an output, by its name in the deployment.
  void to(const std::string& name) const {
    at_.in->add_step({"to", name, {at_.step}, {}, true});
    send(at_.in->add_output(name, at_.step));
  }

  // By way of a topic of the broker's (a repartition topic), on which each record is in the partition where
  // its key belongs: after the key has changed, and before what keeps state by key. What follows is a stage
  // of its own, which reads that topic as if it were another processor, with its own stream time. `name` (a-z
  // A-Z 0-9 . _ -) is part of the topic's; no input or output bears it.
  stream through(const std::string& name) const {
    topology* const in = at_.in;
    const detail::place<K, V> next{in, std::make_shared<detail::port<K, V>>(),
                                   in->add_step({"through", name, {at_.step}, {}, true, true}), false};
    send(in->add_passage(name, at_.step, next.step,
                         [out = next.from](const record& one, const detail::moment& when) {
                           out->push(detail::nullable<K>::decode(one.key(), "key"),
                                     detail::nullable<V>::decode(one.value(), "value"), when);
                         }));
    return stream(next);
  }

  // Calls `look` with each record and hands it on: to count, or to log. Work that is repeated after a crash
  // is seen again.
  template <class F>
  stream peek(F look) const {
    auto next = detail::behind<K, V>(at_, "peek", at_.has_new_key);
    at_.from->connect([look, out = next.from](const K& k, const V& v, const detail::moment& when) {
      look(k, v, when.ctx());
      out->push(k, v, when);
    });
    return stream(next);
  }

  // ---- In ktable.h: tables, and joins with them.
  // The latest value of each key, kept in the store `name`. A std::nullopt removes it.
  auto to_table(const std::string& name) const;
  // With what the table has for the key at that moment: f(value, table's value) or f(key, value, table's
  // value). Records without one are dropped, or come with std::nullopt.
  template <class W, class F>
  auto join(const ktable<K, W>& with, F f) const;
  template <class W, class F>
  auto left_join(const ktable<K, W>& with, F f) const;

  // ---- In stream_join.h: with another stream, in a window of time.
  template <class W, class F>
  auto join(const stream<K, W>& with, join_windows in, const std::string& name, F f) const;
  template <class W, class F>
  auto left_join(const stream<K, W>& with, join_windows in, const std::string& name, F f) const;
  template <class W, class F>
  auto outer_join(const stream<K, W>& with, join_windows in, const std::string& name, F f) const;

  const detail::place<K, V>& at() const { return at_; }

 private:
  template <class, class>
  friend class stream;

  void send(output out) const {
    topology* const in = at_.in;
    at_.from->connect([in, out](const K& k, const V& v, const detail::moment& when) {
      std::string key;
      std::string value;
      emission made;
      if (in->keeps_headers() && when.is_input) made = emission(*when.of->cause);
      made.key(detail::nullable<K>::encode(k, key)).value(detail::nullable<V>::encode(v, value));
      when.ctx().emit(out, made.timestamp_ms(when.timestamp_ms));
      when.of->spent_bytes += key.size() + value.size();
    });
  }

  template <class Way, std::size_t... Numbers, class... Conditions>
  std::array<stream, sizeof...(Conditions)> branch_into(Way way, std::index_sequence<Numbers...>,
                                                        Conditions... conditions) const {
    std::array<stream, sizeof...(Conditions)> ways{stream(way(Numbers))...};
    at_.from->connect([conditions = std::make_tuple(conditions...),
                       outs = std::array{ways[Numbers].at_.from...}](const K& k, const V& v,
                                                                     const detail::moment& when) {
      const bool unused =
          ((detail::apply_to(std::get<Numbers>(conditions), k, v) ? (outs[Numbers]->push(k, v, when), true)
                                                                  : false) ||
           ...);
      static_cast<void>(unused);
    });
    return ways;
  }

  template <class K2, class F>
  stream<K2, V> with_key(F f, bool is_new) const {
    auto next = detail::behind<K2, V>(at_, "select_key", is_new);
    at_.from->connect([f, out = next.from](const K& k, const V& v, const detail::moment& when) {
      out->push(detail::apply_to(f, k, v), v, when);
    });
    return stream<K2, V>(next);
  }

  auto group(const char* what) const {
    if constexpr (detail::is_optional<K>::value) {
      using key_type = typename K::value_type;
      auto next = detail::behind<key_type, V>(at_, what, false);
      at_.from->connect([out = next.from](const K& k, const V& v, const detail::moment& when) {
        if (k)
          out->push(*k, v, when);
        else
          when.ctx().count("records_without_key");
      });
      return grouped<key_type, V>(next);
    } else {
      auto next = detail::behind<K, V>(at_, what, false);
      at_.from->connect(
          [out = next.from](const K& k, const V& v, const detail::moment& when) { out->push(k, v, when); });
      return grouped<K, V>(next);
    }
  }

  detail::place<K, V> at_;
};

template <class K, class V>
stream<K, V> topology::from(const std::string& topic) {
  detail::place<K, V> at{this, std::make_shared<detail::port<K, V>>(),
                         add_step({"from", topic, {}, {}, true}), false};
  add_input(topic, [out = at.from](const record& one, const detail::moment& when) {
    out->push(detail::nullable<K>::decode(one.key(), "key"),
              detail::nullable<V>::decode(one.value(), "value"), when);
  });
  return stream<K, V>(at);
}

template <class V>
stream<std::optional<raw>, V> topology::from(const std::string& topic) {
  return from<std::optional<raw>, V>(topic);
}

}  // namespace sdk_v1
}  // namespace millrace
