// millrace/time_aggregate.h: aggregates by tumbling and hopping windows. For <millrace/stream.h>.
//
// One store, by time first: what is due is at its front. An entry goes when its window is closed.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "stream_port.h"
#include "stream_steps.h"
#include "window_store.h"
#include "windows.h"

namespace millrace {
inline namespace sdk_v1 {
namespace detail {

struct window_rules {
  std::int64_t grace_ms = 0;
  bool is_on_close = false;
  late_policy late;
};

template <class K, class V, class A, class Fold>
class time_aggregate {
 public:
  time_aggregate(time_windows windows, window_rules rules, store kept, port_ptr<windowed<K>, A> out,
                 Fold fold)
      : windows_(windows),
        rules_(std::move(rules)),
        kept_(kept),
        out_(std::move(out)),
        fold_(std::move(fold)) {}

  void take(const K& key, const V& value, const moment& when) const {
    const std::string key_bytes = encode(key);
    for (const window& one : windows_.around(when.timestamp_ms)) {
      if (closing_time(one.end_ms) <= when.of->stream_time_ms) {
        rules_.late.apply(when, std::to_string(one.start_ms) + "-" + std::to_string(one.end_ms));
        continue;
      }
      const std::string at = time_first_key(one.start_ms, key_bytes);
      std::optional<A> before;
      std::int64_t newest = when.timestamp_ms;
      if (const maybe_bytes found = when.ctx().get(kept_, at)) {
        before = decode<A>(unstamped(*found));
        newest = std::max(newest, stamp_of(*found));
      }
      const A now = fold_(before ? &*before : nullptr, key, value);
      when.of->put(kept_, at, stamped(newest, encode(now)));
      if (!rules_.is_on_close) out_->push({key, one}, now, when.at(newest));
    }
  }

  void close_due(work& of, std::uint64_t bytes_max) const {
    while (of.spent_bytes < bytes_max) {
      const auto first = copy_of(of.ctx->first_from(kept_, {}));
      if (!first) return;
      const std::int64_t start = get_time(first->key, 0);
      const std::int64_t end = later(start, windows_.size_ms);
      if (closing_time(end) > of.stream_time_ms) return;
      of.erase(kept_, first->key);
      if (!rules_.is_on_close) continue;
      const windowed<K> key{decode<K>(std::string_view(first->key).substr(time_bytes)), {start, end}};
      out_->push(key, decode<A>(unstamped(first->value)), {&of, stamp_of(first->value), false});
    }
  }

 private:
  std::int64_t closing_time(std::int64_t end_ms) const { return later(end_ms, rules_.grace_ms); }

  time_windows windows_;
  window_rules rules_;
  store kept_;
  port_ptr<windowed<K>, A> out_;
  Fold fold_;
};

// Connects one of the aggregates to its input and to time.
template <class Aggregate, class K, class V>
void run_behind(const place<K, V>& at, std::shared_ptr<Aggregate> one) {
  at.from->connect([one](const K& k, const V& v, const moment& when) { one->take(k, v, when); });
  at.in->add_due_work([one](work& of, std::uint64_t bytes_max) { one->close_due(of, bytes_max); }, at.step);
}

template <class A, class K, class V, class Fold, class Merge>
stream<windowed<K>, A> aggregate_by(const place<K, V>& at, time_windows windows, const window_rules& rules,
                                    const std::string& name, const char* what, const std::string& text,
                                    Fold fold, const Merge&) {
  auto next = behind<windowed<K>, A>(at, what, true, text);
  const store kept = at.in->add_store(next.step, name);
  run_behind(at, std::make_shared<time_aggregate<K, V, A, Fold>>(windows, rules, kept, next.from, fold));
  return stream<windowed<K>, A>(next);
}

}  // namespace detail
}  // namespace sdk_v1
}  // namespace millrace
