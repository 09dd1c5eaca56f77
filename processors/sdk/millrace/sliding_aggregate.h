// millrace/sliding_aggregate.h: aggregates by sliding windows. For <millrace/stream.h>.
//
// For each record of a key at t there is the window that ends with it, [t - d, t], and, once another record
// lies in it, the one that begins behind it, [t + 1, t + 1 + d]. An aggregate cannot be taken apart, so a new
// window begins as a copy of a neighbour that holds the same records, which there always is:
//
//   - what [t - d, t] holds before t, the last window that begins before t - d holds, and nothing else, if
//     anything of it lies in [t - d, t] at all
//   - what [t + 1, t + 1 + d] holds, the last window that begins at or before t holds; likewise
//   - the last record before t, at p, has [p + 1, p + 1 + d] already, or that one was empty (if p is one
//     before t - d, it is the first of these)
//
// For this to hold, closed windows stay, and take what comes late for them, unseen, until no record that is
// still accepted can ask for them: 2 d + 2 ms. A record is late if no open window holds it.
//
// Two stores: the windows, by key first (start), and `<name>-calendar`.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stream_port.h"
#include "stream_steps.h"
#include "time_aggregate.h"
#include "window_store.h"
#include "windows.h"

namespace millrace {
inline namespace sdk_v1 {
namespace detail {

template <class K, class V, class A, class Fold>
class sliding_aggregate {
 public:
  sliding_aggregate(sliding_windows windows, window_rules rules, store kept, store calendar,
                    port_ptr<windowed<K>, A> out, Fold fold)
      : d_(windows.difference_ms),
        rules_(std::move(rules)),
        kept_(kept),
        calendar_(calendar),
        out_(std::move(out)),
        fold_(std::move(fold)) {}

  void take(const K& key, const V& value, const moment& when) const {
    const std::int64_t t = when.timestamp_ms;
    if (closing_time(t) <= when.of->stream_time_ms) return rules_.late.apply(when);
    const std::string key_bytes = encode(key);
    const std::vector<kept_window> near = around(when.ctx(), key_bytes, t);

    const kept_window* left_of = nullptr;  // the last that begins before t - d
    const kept_window* last = nullptr;     // the last that begins at or before t
    for (const kept_window& one : near) {
      if (one.start_ms < earlier(t, d_)) left_of = &one;
      if (one.start_ms <= t) last = &one;
    }
    const auto begins_at = [&](std::int64_t start) {
      return std::any_of(near.begin(), near.end(), [&](const auto& one) { return one.start_ms == start; });
    };
    const auto is_from = [&](const kept_window* one, std::int64_t from) {
      return one && one->newest_ms >= from;
    };

    // In the order of their starts: [t - d, t], those that hold t, [p + 1, ...] among them, [t + 1, ...].
    std::vector<kept_window> changed;
    if (!begins_at(earlier(t, d_))) {
      const A* before = is_from(left_of, earlier(t, d_)) ? &left_of->sum : nullptr;
      changed.push_back({earlier(t, d_), t, fold_(before, key, value), true});
    }
    for (const kept_window& one : near)
      if (one.start_ms >= earlier(t, d_) && one.start_ms <= t)
        changed.push_back({one.start_ms, std::max(t, one.newest_ms), fold_(&one.sum, key, value), false});
    if (is_from(left_of, earlier(t, d_)) && !begins_at(left_of->newest_ms + 1))
      changed.push_back({left_of->newest_ms + 1, t, fold_(nullptr, key, value), true});
    if (std::none_of(changed.begin(), changed.end(),
                     [&](const auto& one) { return closing_time(one.start_ms) > when.of->stream_time_ms; }))
      return rules_.late.apply(when);
    if (is_from(last, t + 1) && !begins_at(t + 1))
      changed.push_back({t + 1, last->newest_ms, last->sum, true});
    std::sort(changed.begin(), changed.end(),
              [](const auto& a, const auto& b) { return a.start_ms < b.start_ms; });
    for (const kept_window& one : changed) keep(key, key_bytes, one, when);
  }

  void close_due(work& of, std::uint64_t bytes_max) const {
    work_off(of, bytes_max, calendar_, to_close, [&](std::string_view entry_key) {
      const maybe_bytes found = of.ctx->get(kept_, entry_key);
      if (!found) throw failure("the calendar knows a window that is not there");
      const std::string value(*found);
      const std::int64_t start = time_of(entry_key, 0);
      out_->push({decode<K>(key_of(entry_key)), {start, later(start, d_)}}, decode<A>(unstamped(value)),
                 {&of, stamp_of(value), false});
    });
    work_off(of, bytes_max, calendar_, to_remove,
             [&](std::string_view entry_key) { of.erase(kept_, entry_key); });
  }

 private:
  struct kept_window {
    std::int64_t start_ms;
    std::int64_t newest_ms;
    A sum;
    bool is_new = false;
  };

  // The first stream time at which the window takes nothing any more.
  std::int64_t closing_time(std::int64_t start_ms) const {
    return later(later(start_ms, d_ + 1), rules_.grace_ms);
  }

  // All that a record at t can have to do with, in the order of their starts.
  std::vector<kept_window> around(const context& ctx, const std::string& key_bytes, std::int64_t t) const {
    std::vector<kept_window> all;
    const std::string prefix = key_prefix(key_bytes);
    for (auto found = first_with(ctx, kept_, key_first_key(key_bytes, earlier(t, 2 * d_)), prefix); found;
         found = next_with(ctx, kept_, found->key, prefix)) {
      const std::int64_t start = time_of(found->key, 0);
      if (start > t && start - 1 > t) break;
      all.push_back({start, stamp_of(found->value), decode<A>(unstamped(found->value))});
    }
    return all;
  }

  void keep(const K& key, const std::string& key_bytes, const kept_window& one, const moment& when) const {
    const std::string entry_key = key_first_key(key_bytes, one.start_ms);
    when.of->put(kept_, entry_key, stamped(one.newest_ms, encode(one.sum)));
    const std::int64_t closing = closing_time(one.start_ms);
    const bool is_open = closing > when.of->stream_time_ms;
    if (one.is_new) {
      when.of->put(calendar_, calendar_key(to_remove, later(closing, 2 * d_ + 2), entry_key), {});
      if (rules_.is_on_close && is_open)
        when.of->put(calendar_, calendar_key(to_close, closing, entry_key), {});
    }
    if (!rules_.is_on_close && is_open)
      out_->push({key, {one.start_ms, later(one.start_ms, d_)}}, one.sum, when.at(one.newest_ms));
  }

  std::int64_t d_;
  window_rules rules_;
  store kept_;
  store calendar_;
  port_ptr<windowed<K>, A> out_;
  Fold fold_;
};

template <class A, class K, class V, class Fold, class Merge>
stream<windowed<K>, A> aggregate_by(const place<K, V>& at, sliding_windows windows, const window_rules& rules,
                                    const std::string& name, const char* what, const std::string& text,
                                    Fold fold, const Merge&) {
  auto next = behind<windowed<K>, A>(at, what, true, text);
  const store kept = at.in->add_store(next.step, name);
  const store calendar = at.in->add_store(next.step, name + "-calendar");
  run_behind(at, std::make_shared<sliding_aggregate<K, V, A, Fold>>(windows, rules, kept, calendar, next.from,
                                                                    fold));
  return stream<windowed<K>, A>(next);
}

}  // namespace detail
}  // namespace sdk_v1
}  // namespace millrace
