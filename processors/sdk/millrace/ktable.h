// millrace/ktable.h: tables of the stream level: the latest value of each key, and joins with them.
//
//     auto users = t.from<std::string, std::optional<std::string>>("users").to_table("users");
//     auto named = orders.join(users, [](const order& o, const std::string& user) { ... });
//
// A table that to_table() or an aggregate makes is kept in a store: the key, and under it the timestamp (8
// bytes, big-endian) and the value, as in Kafka's timestamped stores. What filter(), map_values() and joins
// make of it is computed when it is looked at.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "stream_steps.h"
#include "window_store.h"

namespace millrace {
inline namespace sdk_v1 {

// What a table held under a key, and what it holds from now on.
template <class V>
struct table_change {
  std::optional<V> before;
  std::optional<V> now;
};

namespace detail {

template <class V>
struct dated {
  V value;
  std::int64_t at_ms;
};

// f(key, a, b), or f(a, b) if that is what it takes.
template <class F, class K, class A, class B>
decltype(auto) apply_both(F& f, const K& key, const A& a, const B& b) {
  if constexpr (std::is_invocable_v<F&, const K&, const A&, const B&>)
    return f(key, a, b);
  else
    return f(a, b);
}
template <class F, class K, class A, class B>
using result_of_both = std::decay_t<decltype(apply_both(std::declval<F&>(), std::declval<const K&>(),
                                                        std::declval<const A&>(), std::declval<const B&>()))>;

template <class T>
struct without_optional {
  using type = T;
};
template <class T>
struct without_optional<std::optional<T>> {
  using type = T;
};

// A table's store.
template <class K, class V>
struct table_store {
  store in;

  std::optional<dated<V>> get(const context& ctx, const K& key) const {
    const maybe_bytes found = ctx.get(in, encode(key));
    if (!found) return std::nullopt;
    return dated<V>{decode<V>(unstamped(*found)), stamp_of(*found)};
  }
  void put(const moment& when, const K& key, const std::optional<V>& value) const {
    if (value)
      when.of->put(in, encode(key), stamped(when.timestamp_ms, encode(*value)));
    else
      when.of->erase(in, encode(key));
  }
};

}  // namespace detail

template <class K, class V>
class ktable {
 public:
  using look_up = std::function<std::optional<detail::dated<V>>(const context&, const K&)>;

  ktable(detail::place<K, table_change<V>> at, look_up get) : at_(std::move(at)), get_(std::move(get)) {}

  // Its changes: what each key holds from now on, std::nullopt if it is gone.
  stream<K, std::optional<V>> to_stream() const {
    auto next = detail::behind<K, std::optional<V>>(at_, "to_stream", false);
    at_.from->connect([out = next.from](const K& k, const table_change<V>& c, const detail::moment& when) {
      out->push(k, c.now, when);
    });
    return stream<K, std::optional<V>>(next);
  }

  template <class F>
  ktable filter(F keep) const {
    return derive<V>("filter", [keep](const K& k, const V& v) {
      return detail::apply_to(keep, k, v) ? std::optional<V>(v) : std::nullopt;
    });
  }
  template <class F, class V2 = detail::result_of<F, K, V>>
  ktable<K, V2> map_values(F f) const {
    return derive<V2>("map_values",
                      [f](const K& k, const V& v) { return std::optional<V2>(detail::apply_to(f, k, v)); });
  }

  // A table of f(value, other's value) for keys that are in both; it changes when either does.
  template <class W, class F, class R = detail::result_of_both<F, K, V, W>>
  ktable<K, R> join(const ktable<K, W>& with, F f) const {
    return combine<R>("join", with, [f](const K& k, const auto& a, const auto& b) {
      return a && b ? std::optional<R>(detail::apply_both(f, k, *a, *b)) : std::nullopt;
    });
  }
  // For keys in this one: f(value, std::optional of the other's).
  template <class W, class F, class R = detail::result_of_both<F, K, V, std::optional<W>>>
  ktable<K, R> left_join(const ktable<K, W>& with, F f) const {
    return combine<R>("left_join", with, [f](const K& k, const auto& a, const auto& b) {
      return a ? std::optional<R>(detail::apply_both(f, k, *a, b)) : std::nullopt;
    });
  }
  // For keys in either: f(std::optional, std::optional).
  template <class W, class F, class R = detail::result_of_both<F, K, std::optional<V>, std::optional<W>>>
  ktable<K, R> outer_join(const ktable<K, W>& with, F f) const {
    return combine<R>("outer_join", with, [f](const K& k, const auto& a, const auto& b) {
      return a || b ? std::optional<R>(detail::apply_both(f, k, a, b)) : std::nullopt;
    });
  }

  const detail::place<K, table_change<V>>& at() const { return at_; }
  const look_up& get() const { return get_; }

 private:
  // f(key, value) gives std::optional<V2>.
  template <class V2, class F>
  ktable<K, V2> derive(const char* what, F f) const {
    auto next = detail::behind<K, table_change<V2>>(at_, what, false);
    at_.from->connect([f, out = next.from](const K& k, const table_change<V>& c, const detail::moment& when) {
      const table_change<V2> made{c.before ? f(k, *c.before) : std::nullopt,
                                  c.now ? f(k, *c.now) : std::nullopt};
      if (made.before || made.now) out->push(k, made, when);
    });
    return ktable<K, V2>(next, [f, get = get_](const context& ctx, const K& k) {
      const auto found = get(ctx, k);
      const auto made = found ? f(k, found->value) : std::nullopt;
      return made ? std::optional(detail::dated<V2>{*made, found->at_ms}) : std::nullopt;
    });
  }

  template <class R, class W, class F>
  ktable<K, R> combine(const char* what, const ktable<K, W>& with, F f) const {
    auto next = detail::behind<K, table_change<R>>(at_, what, false);
    at_.in->add_source(next.step, with.at().step);
    const auto value = [](const auto& found) { return found ? std::optional(found->value) : std::nullopt; };
    const auto time = [](const auto& found) { return found ? found->at_ms : INT64_MIN; };
    const auto send = [out = next.from](const K& k, table_change<R> made, const detail::moment& when,
                                        std::int64_t other_ms) {
      if (made.before || made.now) out->push(k, made, when.at(std::max(when.timestamp_ms, other_ms)));
    };
    at_.from->connect(
        [=, get = with.get()](const K& k, const table_change<V>& c, const detail::moment& when) {
          const auto other = get(when.ctx(), k);
          const std::optional<W> w = value(other);
          send(k, {f(k, c.before, w), f(k, c.now, w)}, when, time(other));
        });
    with.at().from->connect(
        [=, get = get_](const K& k, const table_change<W>& c, const detail::moment& when) {
          const auto other = get(when.ctx(), k);
          const std::optional<V> v = value(other);
          send(k, {f(k, v, c.before), f(k, v, c.now)}, when, time(other));
        });
    return ktable<K, R>(next, [=, left = get_, right = with.get()](const context& ctx, const K& k) {
      const auto a = left(ctx, k);
      const auto b = right(ctx, k);
      const std::optional<R> made = f(k, value(a), value(b));
      return made ? std::optional(detail::dated<R>{*made, std::max(time(a), time(b))}) : std::nullopt;
    });
  }

  detail::place<K, table_change<V>> at_;
  look_up get_;
};

template <class K, class V>
auto stream<K, V>::to_table(const std::string& name) const {
  using key_type = typename detail::without_optional<K>::type;
  using value_type = typename detail::without_optional<V>::type;
  at_.require_own_key();
  auto next = detail::behind<key_type, table_change<value_type>>(at_, "to_table", false);
  const detail::table_store<key_type, value_type> kept{at_.in->add_store(next.step, name)};
  at_.from->connect([kept, out = next.from](const K& k, const V& v, const detail::moment& when) {
    const std::optional<key_type> key(k);
    if (!key) return when.ctx().count("records_without_key");
    const auto before = kept.get(when.ctx(), *key);
    const table_change<value_type> made{before ? std::optional(before->value) : std::nullopt, v};
    if (!made.before && !made.now) return;
    kept.put(when, *key, made.now);
    out->push(*key, made, when);
  });
  return ktable<key_type, value_type>(
      next, [kept](const context& ctx, const key_type& key) { return kept.get(ctx, key); });
}

template <class K, class V>
template <class W, class F>
auto stream<K, V>::join(const ktable<K, W>& with, F f) const {
  using R = detail::result_of_both<F, K, V, W>;
  at_.require_own_key();
  auto next = detail::behind<K, R>(at_, "join", at_.has_new_key);
  at_.in->add_source(next.step, with.at().step);
  at_.from->connect(
      [f, get = with.get(), out = next.from](const K& k, const V& v, const detail::moment& when) {
        if (const auto found = get(when.ctx(), k))
          out->push(k, detail::apply_both(f, k, v, found->value), when);
      });
  return stream<K, R>(next);
}

template <class K, class V>
template <class W, class F>
auto stream<K, V>::left_join(const ktable<K, W>& with, F f) const {
  using R = detail::result_of_both<F, K, V, std::optional<W>>;
  at_.require_own_key();
  auto next = detail::behind<K, R>(at_, "left_join", at_.has_new_key);
  at_.in->add_source(next.step, with.at().step);
  at_.from->connect(
      [f, get = with.get(), out = next.from](const K& k, const V& v, const detail::moment& when) {
        const auto found = get(when.ctx(), k);
        const std::optional<W> other = found ? std::optional<W>(found->value) : std::nullopt;
        out->push(k, detail::apply_both(f, k, v, other), when);
      });
  return stream<K, R>(next);
}

}  // namespace sdk_v1
}  // namespace millrace
