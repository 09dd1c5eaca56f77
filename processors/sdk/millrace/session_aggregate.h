// millrace/session_aggregate.h: aggregates by session. For <millrace/stream.h>.
//
// Two stores: the sessions, by key first (end, start), and `<name>-calendar`. A record extends the sessions
// that it is near enough to, and makes one of them all; on update, the results so far are taken back with
// nulls, as Kafka Streams does: even if the bounds stay, unless all records have one timestamp.
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

template <class K, class V, class A, class Fold, class Merge>
class session_aggregate {
 public:
  session_aggregate(session_windows windows, window_rules rules, store kept, store calendar,
                    port_ptr<session_of<K>, std::optional<A>> out, Fold fold, Merge merge)
      : gap_ms_(windows.gap_ms),
        rules_(std::move(rules)),
        kept_(kept),
        calendar_(calendar),
        out_(std::move(out)),
        fold_(std::move(fold)),
        merge_(std::move(merge)) {}

  void take(const K& key, const V& value, const moment& when) const {
    const std::int64_t t = when.timestamp_ms;
    const std::string key_bytes = encode(key);
    window whole{t, t};
    std::int64_t newest = t;
    std::optional<A> sum;
    std::vector<window> merged;
    std::vector<std::string> old_entries;
    const std::string prefix = key_prefix(key_bytes);
    // Sessions of a key do not overlap, so they are ordered by end and by start alike.
    std::string at = key_first_key(key_bytes, earlier(t, gap_ms_));
    for (auto found = first_with(when.ctx(), kept_, at, prefix); found;
         found = next_with(when.ctx(), kept_, found->key, prefix)) {
      const window one{time_of(found->key, 1), time_of(found->key, 0)};
      if (one.start_ms > later(t, gap_ms_)) break;
      // One that is due and not worked off yet takes nothing any more.
      if (closing_time(one.end_ms) <= when.of->stream_time_ms) continue;
      const A theirs = decode<A>(unstamped(found->value));
      sum = sum ? merge_(*sum, theirs) : theirs;
      newest = std::max(newest, stamp_of(found->value));
      whole = {std::min(whole.start_ms, one.start_ms), std::max(whole.end_ms, one.end_ms)};
      merged.push_back(one);
      old_entries.push_back(found->key);
    }
    if (closing_time(whole.end_ms) <= when.of->stream_time_ms) return rules_.late.apply(when);
    const A now = fold_(sum ? &*sum : nullptr, key, value);
    const bool has_moved =
        merged.size() != 1 || merged[0].start_ms != whole.start_ms || merged[0].end_ms != whole.end_ms;
    const bool is_alone = whole.start_ms == t && whole.end_ms == t;
    for (std::size_t i = 0; i < merged.size(); ++i) {
      if (has_moved) {
        when.of->erase(kept_, old_entries[i]);
        when.of->erase(calendar_, calendar_key(to_close, closing_time(merged[i].end_ms), old_entries[i]));
      }
      if (!rules_.is_on_close && !is_alone)
        out_->push({key, merged[i]}, std::nullopt, when.at(merged[i].end_ms));
    }
    const std::string entry_key = key_first_key(key_bytes, whole.end_ms, whole.start_ms);
    if (has_moved) when.of->put(calendar_, calendar_key(to_close, closing_time(whole.end_ms), entry_key), {});
    when.of->put(kept_, entry_key, stamped(newest, encode(now)));
    if (!rules_.is_on_close) out_->push({key, whole}, now, when.at(newest));
  }

  void close_due(work& of, std::uint64_t bytes_max) const {
    work_off(of, bytes_max, calendar_, to_close, [&](std::string_view entry_key) {
      const std::string at(entry_key);
      const maybe_bytes found = of.ctx->get(kept_, at);
      if (!found) throw failure("the calendar knows a session that is not there");
      const std::string value(*found);
      of.erase(kept_, at);
      if (!rules_.is_on_close) return;
      const session_of<K> key{decode<K>(key_of(at)), {time_of(at, 1), time_of(at, 0)}};
      out_->push(key, decode<A>(unstamped(value)), {&of, stamp_of(value), false});
    });
  }

 private:
  // The first stream time at which a session with its last record at `end_ms` takes nothing any more.
  std::int64_t closing_time(std::int64_t end_ms) const {
    return later(later(later(end_ms, gap_ms_), rules_.grace_ms), 1);
  }

  std::int64_t gap_ms_;
  window_rules rules_;
  store kept_;
  store calendar_;
  port_ptr<session_of<K>, std::optional<A>> out_;
  Fold fold_;
  Merge merge_;
};

template <class A, class K, class V, class Fold, class Merge>
stream<session_of<K>, std::optional<A>> aggregate_by(const place<K, V>& at, session_windows windows,
                                                     const window_rules& rules, const std::string& name,
                                                     const char* what, const std::string& text, Fold fold,
                                                     const Merge& merge) {
  auto next = behind<session_of<K>, std::optional<A>>(at, what, true, text);
  const store kept = at.in->add_store(next.step, name);
  const store calendar = at.in->add_store(next.step, name + "-calendar");
  run_behind(at, std::make_shared<session_aggregate<K, V, A, Fold, Merge>>(windows, rules, kept, calendar,
                                                                           next.from, fold, merge));
  return stream<session_of<K>, std::optional<A>>(next);
}

}  // namespace detail
}  // namespace sdk_v1
}  // namespace millrace
