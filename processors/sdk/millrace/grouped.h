// millrace/grouped.h: aggregates by key, for <millrace/stream.h>: of all records so far (a table), or by
// window.
//
//     grouped.count("counts")                                    std::int64_t
//     grouped.reduce("largest", [](double so_far, double next) { return std::max(so_far, next); })
//     grouped.aggregate("means", mean(), [](double next, mean so_far) { return so_far.add(next); })
//
// The first argument names the store that keeps them. A function for aggregate() may take the key before the
// value. Sessions, which may grow together, need a third: of two aggregates, the earlier first, one.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "ktable.h"
#include "session_aggregate.h"
#include "sliding_aggregate.h"
#include "stream_steps.h"
#include "time_aggregate.h"
#include "windows.h"

namespace millrace {
inline namespace sdk_v1 {
namespace detail {

// How aggregates come about: from the one before, if there is one, and the next record.
template <class A, class Add>
auto folding(A initial, Add add) {
  return [initial = std::move(initial), add](const A* before, const auto& key, const auto& value) -> A {
    const A& so_far = before ? *before : initial;
    if constexpr (std::is_invocable_v<const Add&, decltype(key), decltype(value), const A&>)
      return add(key, value, so_far);
    else
      return add(value, so_far);
  };
}
template <class V, class F>
auto reducing(F f) {
  return
      [f](const V* before, const auto&, const V& value) -> V { return before ? f(*before, value) : value; };
}
inline auto counting() {
  return [](const std::int64_t* before, const auto&, const auto&) -> std::int64_t {
    return before ? *before + 1 : 1;
  };
}

}  // namespace detail

// Records grouped by key and window.
template <class K, class V, class Windows>
class windowed_group {
 public:
  windowed_group(detail::place<K, V> at, Windows windows, grace late) : at_(std::move(at)) {
    rules_.grace_ms = late.ms;
    windows_ = windows;
  }

  // A result with each record that changes one: the default.
  windowed_group emit_on_update() const { return with_closing(false); }
  // One result for each window, when it is closed. It waits for a record that carries the time so far.
  windowed_group emit_on_close() const { return with_closing(true); }
  // Late records go to that output, as they came in; with time windows once for each window that they have
  // missed, told by the header `millrace.window` as "<start>-<end>". Without it they are dropped. Counted
  // they are in any case, as `<store>.late`.
  windowed_group late_to(const std::string& output) const {
    windowed_group next = *this;
    next.late_output_ = output;
    return next;
  }

  auto count(const std::string& store) const {
    return make<std::int64_t>(store, "count", detail::counting(),
                              [](std::int64_t a, std::int64_t b) { return a + b; });
  }
  template <class F>
  auto reduce(const std::string& store, F f) const {
    return make<V>(store, "reduce", detail::reducing<V>(f), f);
  }
  template <class A, class Add>
  auto aggregate(const std::string& store, A initial, Add add) const {
    static_assert(!std::is_same_v<Windows, session_windows>,
                  "sessions may grow together: a function that merges two aggregates is needed");
    return make<A>(store, "aggregate", detail::folding(std::move(initial), add), nullptr);
  }
  template <class A, class Add, class Merge>
  auto aggregate(const std::string& store, A initial, Add add, Merge merge) const {
    return make<A>(store, "aggregate", detail::folding(std::move(initial), add), merge);
  }

 private:
  windowed_group with_closing(bool on_close) const {
    windowed_group next = *this;
    next.rules_.is_on_close = on_close;
    return next;
  }

  template <class A, class Fold, class Merge>
  auto make(const std::string& store, const char* what, Fold fold, Merge merge) const {
    if (rules_.grace_ms > detail::window_ms_max) throw failure("grace must be at most 1,000 years");
    std::string text = windows_.text() + ", grace " + detail::span_text(rules_.grace_ms) +
                       (rules_.is_on_close ? ", on close" : ", on update");
    detail::window_rules rules = rules_;
    rules.late.count_as = store + ".late";
    detail::place<K, V> at = at_;
    if (!late_output_.empty()) {
      text += ", late to " + late_output_;
      rules.late.to = at.in->add_output(late_output_, at.step);
    }
    return detail::aggregate_by<A>(at, windows_, rules, store, what, text, fold, merge);
  }

  detail::place<K, V> at_;
  Windows windows_;
  detail::window_rules rules_;
  std::string late_output_;
};

template <class K, class V>
class grouped {
 public:
  explicit grouped(detail::place<K, V> at) : at_(std::move(at)) {}

  // By windows of time: tumbling(), hopping(), sliding() or session().
  template <class Windows>
  windowed_group<K, V, Windows> window(Windows windows,
                                       grace late = grace(std::chrono::milliseconds(0))) const {
    return windowed_group<K, V, Windows>(at_, windows, late);
  }

  auto count(const std::string& store) const {
    return make<std::int64_t>(store, "count", detail::counting());
  }
  template <class F>
  auto reduce(const std::string& store, F f) const {
    return make<V>(store, "reduce", detail::reducing<V>(f));
  }
  template <class A, class Add>
  auto aggregate(const std::string& store, A initial, Add add) const {
    return make<A>(store, "aggregate", detail::folding(std::move(initial), add));
  }

 private:
  template <class A, class Fold>
  ktable<K, A> make(const std::string& store, const char* what, Fold fold) const {
    auto next = detail::behind<K, table_change<A>>(at_, what, false);
    const detail::table_store<K, A> kept{at_.in->add_store(next.step, store)};
    at_.from->connect([kept, fold, out = next.from](const K& k, const V& v, const detail::moment& when) {
      const auto before = kept.get(when.ctx(), k);
      table_change<A> made{before ? std::optional<A>(before->value) : std::nullopt,
                           fold(before ? &before->value : nullptr, k, v)};
      const auto later = when.at(std::max(when.timestamp_ms, before ? before->at_ms : INT64_MIN));
      kept.put(later, k, made.now);
      out->push(k, made, later);
    });
    return ktable<K, A>(next, [kept](const context& ctx, const K& k) { return kept.get(ctx, k); });
  }

  detail::place<K, V> at_;
};

}  // namespace sdk_v1
}  // namespace millrace
