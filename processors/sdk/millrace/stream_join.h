// millrace/stream_join.h: joins of two streams in a window of time. For <millrace/stream.h>.
//
//     payments.join(orders, millrace::within(5min, millrace::grace(10s)), "paid",
//                   [](const payment& p, const order& o) { return ...; })
//
// Records of one key meet if the other's timestamp is at most so far from this one's. join() gives f(value,
// other's value) for each pair, when the second of them comes; left_join() also f(value, std::nullopt) for
// each that has met nobody, outer_join() the same for either side: once nobody can come any more. A record
// waits for partners until the stream time is more than the window and the grace behind it. One that comes
// later than that is late, and counted as `<name>.late`: it meets who still waits, and does not wait itself.
//
// Three stores: `<name>-left` and `<name>-right`, by key first (timestamp, offset, number of the input (1
// byte) and of the record among those that an input record has led to (3 bytes)), whose values are the
// timestamp (8), 1 if it has met somebody (1) and the value; and `<name>-calendar`.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "ktable.h"
#include "stream_steps.h"
#include "window_store.h"
#include "windows.h"

namespace millrace {
inline namespace sdk_v1 {

// How far the other's timestamp may lie before and behind.
struct join_windows {
  std::int64_t before_ms;
  std::int64_t after_ms;
  std::int64_t grace_ms;

  // Other bounds than those of within(), each not negative.
  template <class Rep, class Period>
  join_windows before(std::chrono::duration<Rep, Period> span) const {
    return {checked(std::chrono::duration_cast<std::chrono::milliseconds>(span).count()), after_ms, grace_ms};
  }
  template <class Rep, class Period>
  join_windows after(std::chrono::duration<Rep, Period> span) const {
    return {before_ms, checked(std::chrono::duration_cast<std::chrono::milliseconds>(span).count()),
            grace_ms};
  }
  std::string text() const {
    return "within -" + detail::span_text(before_ms) + " and +" + detail::span_text(after_ms) + ", grace " +
           detail::span_text(grace_ms);
  }

  static std::int64_t checked(std::int64_t ms) {
    if (ms < 0 || ms > detail::window_ms_max)
      throw failure("a join's window must be between 0 and 1,000 years");
    return ms;
  }
};

template <class Rep, class Period>
join_windows within(std::chrono::duration<Rep, Period> difference,
                    grace late = grace(std::chrono::milliseconds(0))) {
  const std::int64_t ms =
      join_windows::checked(std::chrono::duration_cast<std::chrono::milliseconds>(difference).count());
  return {ms, ms, join_windows::checked(late.ms)};
}

namespace detail {

// One side's records that wait, and what it does with those of the other.
template <class Mine>
struct join_side {
  store kept;
  char calendar_mark;
  std::int64_t reach_ms;      // a partner may be so much younger
  std::int64_t look_back_ms;  // and so much older
  bool is_kept_if_alone;      // it counts even if it meets nobody
};

template <class K, class V, class W, class R, class F>
class windowed_join {
 public:
  // f(key, std::optional<V>, std::optional<W>) gives R.
  windowed_join(join_windows in, bool is_left, bool is_outer, store left, store right, store calendar,
                std::string name, port_ptr<K, R> out, F f)
      : grace_ms_(in.grace_ms),
        left_{left, 'l', in.after_ms, in.before_ms, is_left || is_outer},
        right_{right, 'r', in.before_ms, in.after_ms, is_outer},
        calendar_(calendar),
        late_{std::move(name) + ".late", std::nullopt},
        out_(std::move(out)),
        f_(std::move(f)) {}

  void take_left(const K& key, const V& value, const moment& when) const {
    const auto with = [&](std::optional<W> other) {
      return f_(key, std::optional<V>(value), std::move(other));
    };
    take(left_, right_, key, value, when, with);
  }
  void take_right(const K& key, const W& value, const moment& when) const {
    const auto with = [&](std::optional<V> other) {
      return f_(key, std::move(other), std::optional<W>(value));
    };
    take(right_, left_, key, value, when, with);
  }

  void close_due(work& of, std::uint64_t bytes_max) const {
    remove_due(left_, of, bytes_max, [&](const K& key, const V& value) {
      return f_(key, std::optional<V>(value), std::optional<W>());
    });
    remove_due(right_, of, bytes_max, [&](const K& key, const W& value) {
      return f_(key, std::optional<V>(), std::optional<W>(value));
    });
  }

 private:
  static constexpr std::size_t flag_at = time_bytes;

  // The first stream time at which a record of that side waits no longer.
  template <class Mine>
  std::int64_t end_of_wait(const join_side<Mine>& side, std::int64_t t) const {
    return later(later(later(t, side.reach_ms), grace_ms_), 1);
  }

  // `with(std::optional<Other>)` is what comes of the record and one of the other side, or none.
  template <class Mine, class Other, class With>
  void take(const join_side<Mine>& mine, const join_side<Other>& others, const K& key, const Mine& value,
            const moment& when, With with) const {
    const std::int64_t t = when.timestamp_ms;
    const std::string key_bytes = encode(key);
    const std::string prefix = key_prefix(key_bytes);
    bool has_met = false;
    for (auto found = first_with(when.ctx(), others.kept,
                                 key_first_key(key_bytes, earlier(t, mine.look_back_ms)), prefix);
         found; found = next_with(when.ctx(), others.kept, found->key, prefix)) {
      const std::int64_t other_t = time_of(found->key, 0);
      if (other_t > later(t, mine.reach_ms)) break;
      // One that is due and not worked off yet waits no longer.
      if (end_of_wait(others, other_t) <= when.of->stream_time_ms) continue;
      has_met = true;
      const std::string_view stored = unstamped(found->value);
      if (stored.empty()) throw failure("a value of the store is too short");
      if (others.is_kept_if_alone && stored[0] == 0) {
        std::string met = found->value;
        met[flag_at] = 1;
        when.of->put(others.kept, found->key, met);
      }
      out_->push(key, with(decode<Other>(stored.substr(1))), when.at(std::max(t, other_t)));
    }
    if (end_of_wait(mine, t) <= when.of->stream_time_ms) {
      late_.apply(when);
      if (!has_met && mine.is_kept_if_alone) out_->push(key, with(std::nullopt), when);
      return;
    }
    std::string entry_key = key_first_key(key_bytes, t, when.of->cause->offset());
    put_big_endian(when.of->number++, entry_key);
    std::string bytes(1, has_met ? '\1' : '\0');
    serde<Mine>::encode(value, bytes);
    when.of->put(mine.kept, entry_key, stamped(t, bytes));
    when.of->put(calendar_, calendar_key(mine.calendar_mark, end_of_wait(mine, t), entry_key), {});
  }

  template <class Mine, class Alone>
  void remove_due(const join_side<Mine>& side, work& of, std::uint64_t bytes_max, Alone alone) const {
    work_off(of, bytes_max, calendar_, side.calendar_mark, [&](std::string_view entry_key) {
      const maybe_bytes found = of.ctx->get(side.kept, entry_key);
      if (!found) throw failure("the calendar knows a record that is not there");
      const std::string value(*found);
      const std::string_view stored = unstamped(value);
      of.erase(side.kept, entry_key);
      if (!side.is_kept_if_alone || stored.empty() || stored[0] != 0) return;
      const K key = decode<K>(key_of(entry_key));
      out_->push(key, alone(key, decode<Mine>(stored.substr(1))), {&of, stamp_of(value), false});
    });
  }

  std::int64_t grace_ms_;
  join_side<V> left_;
  join_side<W> right_;
  store calendar_;
  late_policy late_;
  port_ptr<K, R> out_;
  F f_;
};

template <class R, class K, class V, class W, class F>
stream<K, R> join_streams(const char* what, const place<K, V>& left, const place<K, W>& right,
                          join_windows in, const std::string& name, bool is_left, bool is_outer, F f) {
  left.require_own_key();
  right.require_own_key();
  if (left.in != right.in) throw failure("a join of two topologies");
  auto next = behind<K, R>(left, what, false, in.text());
  left.in->add_source(next.step, right.step);
  const store mine = left.in->add_store(next.step, name + "-left");
  const store others = left.in->add_store(next.step, name + "-right");
  const store calendar = left.in->add_store(next.step, name + "-calendar");
  const auto one = std::make_shared<windowed_join<K, V, W, R, F>>(in, is_left, is_outer, mine, others,
                                                                  calendar, name, next.from, std::move(f));
  left.from->connect([one](const K& k, const V& v, const moment& when) { one->take_left(k, v, when); });
  right.from->connect([one](const K& k, const W& w, const moment& when) { one->take_right(k, w, when); });
  left.in->add_due_work([one](work& of, std::uint64_t bytes_max) { one->close_due(of, bytes_max); },
                        left.step);
  return stream<K, R>(next);
}

}  // namespace detail

template <class K, class V>
template <class W, class F>
auto stream<K, V>::join(const stream<K, W>& with, join_windows in, const std::string& name, F f) const {
  using R = detail::result_of_both<F, K, V, W>;
  return detail::join_streams<R>("join", at_, with.at(), in, name, false, false,
                                 [f](const K& k, const std::optional<V>& a, const std::optional<W>& b) -> R {
                                   return detail::apply_both(f, k, *a, *b);
                                 });
}

template <class K, class V>
template <class W, class F>
auto stream<K, V>::left_join(const stream<K, W>& with, join_windows in, const std::string& name, F f) const {
  using R = detail::result_of_both<F, K, V, std::optional<W>>;
  return detail::join_streams<R>("left_join", at_, with.at(), in, name, true, false,
                                 [f](const K& k, const std::optional<V>& a, const std::optional<W>& b) -> R {
                                   return detail::apply_both(f, k, *a, b);
                                 });
}

template <class K, class V>
template <class W, class F>
auto stream<K, V>::outer_join(const stream<K, W>& with, join_windows in, const std::string& name, F f) const {
  using R = detail::result_of_both<F, K, std::optional<V>, std::optional<W>>;
  return detail::join_streams<R>("outer_join", at_, with.at(), in, name, true, true,
                                 [f](const K& k, const std::optional<V>& a, const std::optional<W>& b) -> R {
                                   return detail::apply_both(f, k, a, b);
                                 });
}

}  // namespace sdk_v1
}  // namespace millrace
