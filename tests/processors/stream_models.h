// stream_models: what the processors of stream_codes.h must make of their records, by the definitions of
// windows and joins alone: no store, no calendar, nothing of the SDK.
//
// A model takes the records one by one, as they were processed, leaves out those that fail, and says for each
// what comes of it: first what time closes, then what the record itself leads to. In which order the results
// of one such step come is the SDK's affair; that they come then, once, and no others, is what a model knows.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/processors/host_kit.h"
#include "tests/processors/stream_codes.h"

namespace millrace::processors::kit {

struct model_record {
  std::string key;
  std::string value;
  int64_t at_ms = 0;
  bool is_right = false;  // of two inputs, it comes from the second
};

// Results by output, in steps.
class model_rows {
 public:
  void add(const std::string& output, seen_record row) { open_[output].push_back(std::move(row)); }
  void end_step() {
    for (auto& [output, rows] : open_)
      if (!rows.empty()) steps_[output].push_back(std::exchange(rows, {}));
  }

  size_t count(const std::string& output) const {
    size_t sum = 0;
    if (const auto found = steps_.find(output); found != steps_.end())
      for (const auto& step : found->second) sum += step.size();
    return sum;
  }

  // What is wrong with the records that are there; empty if nothing.
  std::string difference(const std::string& output, const std::vector<seen_record>& there) const {
    const auto in_order = [](std::vector<seen_record> rows) {
      std::ranges::sort(
          rows, {}, [](const seen_record& r) { return std::tie(r.key, r.value, r.timestamp_ms, r.headers); });
      return rows;
    };
    size_t at = 0;
    if (const auto found = steps_.find(output); found != steps_.end())
      for (const std::vector<seen_record>& step : found->second) {
        const size_t end = std::min(there.size(), at + step.size());
        const std::vector<seen_record> theirs(there.begin() + static_cast<ptrdiff_t>(at),
                                              there.begin() + static_cast<ptrdiff_t>(end));
        if (in_order(theirs) != in_order(step))
          return fmt::format("{} has {} records, by the model {}; it expects {}={} at {} ms or so at {}",
                             output, there.size(), count(output), step[0].key, step[0].value,
                             step[0].timestamp_ms, at);
        at = end;
      }
    if (at == there.size()) return {};
    return fmt::format("{} has {} records, by the model {}", output, there.size(), at);
  }

 private:
  std::map<std::string, std::vector<seen_record>> open_;
  std::map<std::string, std::vector<std::vector<seen_record>>> steps_;
};

// ---- Windows
// -----------------------------------------------------------------------------------------------

struct weighed {
  int64_t sum = 0;
  int64_t newest_ms = INT64_MIN;

  void add(const weighed& other) {
    sum += other.sum;
    newest_ms = std::max(newest_ms, other.newest_ms);
  }
};

// Those on multiples of the advance, from 0 on, that hold a record's time.
class model_of_time_windows {
 public:
  explicit model_of_time_windows(const window_figures& f) : f_(f) {}

  void close(int64_t now, model_rows& rows) {
    while (!open_.empty() && is_closed(open_.begin()->first.first, now)) {
      const auto& [id, content] = *open_.begin();
      if (f_.is_on_close(window_figures::times)) show(id.second, id.first, content, rows);
      open_.erase(open_.begin());
    }
  }
  void take(const model_record& r, int64_t now, model_rows& rows) {
    for (int64_t start = r.at_ms / f_.advance * f_.advance; start >= 0 && start + f_.size > r.at_ms;
         start -= f_.advance) {
      if (is_closed(start, now)) {
        rows.add("late", {r.key, r.value, r.at_ms, fmt::format("{}-{}", start, start + f_.size)});
        continue;
      }
      weighed& content = open_[{start, r.key}];
      content.add({weight_of(r.value), r.at_ms});
      if (!f_.is_on_close(window_figures::times)) show(r.key, start, content, rows);
    }
  }

 private:
  bool is_closed(int64_t start, int64_t now) const { return start + f_.size + f_.grace <= now; }
  void show(const std::string& key, int64_t start, const weighed& content, model_rows& rows) const {
    const std::string name = text_of(key, start, start + f_.size);
    if (is_shown(name)) rows.add("times", {name, std::to_string(content.sum), content.newest_ms, {}});
  }

  const window_figures f_;
  std::map<std::pair<int64_t, std::string>, weighed> open_;  // by start and key
};

// Records with pauses of at most the gap between them.
class model_of_sessions {
 public:
  explicit model_of_sessions(const window_figures& f) : f_(f) {}

  void close(int64_t now, model_rows& rows) {
    const auto is_due = [&](const session& one) { return is_over(one.end, now); };
    if (f_.is_on_close(window_figures::sessions))
      for (const session& one : open_)
        if (is_due(one)) show(one, std::to_string(one.content.sum), one.content.newest_ms, rows);
    std::erase_if(open_, is_due);
  }
  void take(const model_record& r, int64_t now, model_rows& rows) {
    session whole{r.key, r.at_ms, r.at_ms, {weight_of(r.value), r.at_ms}};
    const auto is_near = [&](const session& one) {
      return one.key == r.key && one.end + f_.gap >= r.at_ms && one.start - f_.gap <= r.at_ms;
    };
    const auto merged = std::partition(open_.begin(), open_.end(), std::not_fn(is_near));
    for (auto one = merged; one != open_.end(); ++one) {
      whole.start = std::min(whole.start, one->start);
      whole.end = std::max(whole.end, one->end);
      whole.content.add(one->content);
    }
    if (is_over(whole.end, now)) {
      rows.add("late", {r.key, r.value, r.at_ms, {}});
      return;
    }
    if (!f_.is_on_close(window_figures::sessions)) {
      // Taken back, unless all of it has one timestamp.
      for (auto one = merged; one != open_.end() && whole.start != whole.end; ++one)
        show(*one, "gone", one->end, rows);
      show(whole, std::to_string(whole.content.sum), whole.content.newest_ms, rows);
    }
    open_.erase(merged, open_.end());
    open_.push_back(whole);
  }

 private:
  struct session {
    std::string key;
    int64_t start;
    int64_t end;  // the last record's time
    weighed content;
  };
  bool is_over(int64_t end, int64_t now) const { return end + f_.gap + f_.grace < now; }
  static void show(const session& one, std::string value, int64_t at_ms, model_rows& rows) {
    const std::string name = text_of(one.key, one.start, one.end);
    if (is_shown(name)) rows.add("sessions", {name, std::move(value), at_ms, {}});
  }

  const window_figures f_;
  std::vector<session> open_;
};

// For each record at t the window that ends with it, and the one that begins behind it if it holds anything.
class model_of_sliding_windows {
 public:
  explicit model_of_sliding_windows(const window_figures& f) : f_(f) {}

  void close(int64_t now, model_rows& rows) {
    while (!open_.empty() && !is_open(open_.begin()->first, now)) {
      if (f_.is_on_close(window_figures::sliding)) show(open_.begin()->second, open_.begin()->first, rows);
      open_.erase(open_.begin());
    }
  }
  void take(const model_record& r, int64_t now, model_rows& rows) {
    const int64_t t = r.at_ms;
    const int64_t d = f_.difference;
    of_key& mine = keys_[r.key];
    const auto added = mine.records.emplace(t, weight_of(r.value));
    std::set<int64_t> starts;  // of windows that are there because of this record, or hold it
    for (auto o = mine.records.lower_bound(t - d - 1); o != mine.records.end() && o->first <= t + d; ++o)
      for (const int64_t start : {o->first - d, o->first + 1})
        if (start <= t + 1 && start >= t - d && holds_any(mine, start)) starts.insert(start);
    const auto takes_it = [&](int64_t start) { return start <= t && is_open(start, now); };
    if (std::ranges::none_of(starts, takes_it)) {
      mine.records.erase(added);
      return;
    }
    for (const int64_t start : starts) {
      const bool is_new = mine.known.insert(start).second;
      if (is_new && is_open(start, now)) open_.emplace(start, r.key);
      const bool is_changed = start <= t || is_new;
      if (is_changed && is_open(start, now) && !f_.is_on_close(window_figures::sliding))
        show(r.key, start, rows);
    }
  }

 private:
  struct of_key {
    std::multimap<int64_t, int64_t> records;  // time and weight
    std::set<int64_t> known;                  // windows there have ever been, by their starts
  };
  bool is_open(int64_t start, int64_t now) const { return start + f_.difference + 1 + f_.grace > now; }
  bool holds_any(const of_key& of, int64_t start) const {
    const auto first = of.records.lower_bound(start);
    return first != of.records.end() && first->first <= start + f_.difference;
  }
  void show(const std::string& key, int64_t start, model_rows& rows) {
    const std::string name = text_of(key, start, start + f_.difference);
    if (!is_shown(name)) return;
    weighed content;
    const auto& all = keys_[key].records;
    for (auto o = all.lower_bound(start); o != all.end() && o->first <= start + f_.difference; ++o)
      content.add({o->second, o->first});
    rows.add("sliding", {name, std::to_string(content.sum), content.newest_ms, {}});
  }

  const window_figures f_;
  std::map<std::string, of_key> keys_;
  std::set<std::pair<int64_t, std::string>> open_;  // by start and key
};

// ---- Joins
// -------------------------------------------------------------------------------------------------

// Streams that meet within a span of time: each pair once, and whoever has met nobody alone.
class model_of_meetings {
 public:
  // What they lead to; a side that is not there is nothing.
  using report = std::function<void(const std::string& key, const std::optional<std::string>& left,
                                    const std::optional<std::string>& right, int64_t at_ms)>;
  explicit model_of_meetings(const join_figures& f) : f_(f) {}

  void close(int64_t now, const report& tell) {
    for (const bool is_right : {false, true}) {
      auto& waiting = waiting_[is_right];
      for (const one& w : waiting)
        if (!waits(w, is_right, now) && !w.has_met) alone(w, is_right, tell);
      std::erase_if(waiting, [&](const one& w) { return !waits(w, is_right, now); });
    }
  }
  void take(const std::string& key, const std::string& value, int64_t at_ms, bool is_right, int64_t now,
            const report& tell) {
    one mine{key, value, at_ms, false};
    for (one& other : waiting_[!is_right]) {
      const one& left = is_right ? other : mine;
      const one& right = is_right ? mine : other;
      if (other.key != key || right.at_ms < left.at_ms - f_.before || right.at_ms > left.at_ms + f_.after)
        continue;
      mine.has_met = other.has_met = true;
      tell(key, left.value, right.value, std::max(at_ms, other.at_ms));
    }
    if (waits(mine, is_right, now))
      waiting_[is_right].push_back(mine);
    else if (!mine.has_met)
      alone(mine, is_right, tell);
  }

 private:
  struct one {
    std::string key;
    std::string value;
    int64_t at_ms;
    bool has_met;
  };
  bool waits(const one& w, bool is_right, int64_t now) const {
    return w.at_ms + (is_right ? f_.before : f_.after) + f_.grace >= now;
  }
  static void alone(const one& w, bool is_right, const report& tell) {
    is_right ? tell(w.key, std::nullopt, w.value, w.at_ms) : tell(w.key, w.value, std::nullopt, w.at_ms);
  }

  const join_figures f_;
  std::vector<one> waiting_[2];  // left, right
};

template <class Value>
struct dated {
  Value value{};
  int64_t at_ms = INT64_MIN;
};
template <class Value>
using model_table = std::map<std::string, dated<Value>>;

template <class Value>
std::optional<Value> value_in(const model_table<Value>& table, const std::string& key) {
  const auto found = table.find(key);
  return found == table.end() ? std::nullopt : std::optional(found->second.value);
}

// ---- The processors
// ----------------------------------------------------------------------------------------

// Calls close(now) and take(record, now) for each record that does not fail, each a step of its own.
template <class Close, class Take>
void each_step(const std::vector<model_record>& records, int64_t salt, model_rows& rows, Close close,
               Take take) {
  int64_t now = INT64_MIN;
  for (const model_record& r : records) {
    if (is_poison(r.value, salt)) continue;
    now = std::max(now, r.at_ms);
    close(now);
    rows.end_step();
    take(r, now);
    rows.end_step();
  }
}

template <class Number>
model_rows model_of_windowed_sums(const Number& number, const std::vector<model_record>& records) {
  const window_figures f(number);
  model_of_time_windows times(f);
  model_of_sessions sessions(f);
  model_of_sliding_windows sliding(f);
  model_rows rows;
  const auto close = [&](int64_t now) {
    times.close(now, rows);
    sessions.close(now, rows);
    sliding.close(now, rows);
  };
  const auto take = [&](const model_record& r, int64_t now) {
    times.take(r, now, rows);
    sessions.take(r, now, rows);
    sliding.take(r, now, rows);
  };
  each_step(records, number("salt", 0), rows, close, take);
  return rows;
}

template <class Number>
model_rows model_of_joined(const Number& number, const std::vector<model_record>& records) {
  model_of_meetings met{join_figures(number)};
  model_table<std::string> table;
  model_rows rows;
  const model_of_meetings::report tell = [&](const std::string& key, const auto& left, const auto& right,
                                             int64_t at_ms) {
    const std::string made = beside(both_of(left, right), value_in(table, key));
    if (is_shown(made)) rows.add("out", {key, made, at_ms, {}});
  };
  const auto close = [&](int64_t now) { met.close(now, tell); };
  const auto take = [&](const model_record& r, int64_t now) {
    const side where = side_of(r.value);
    if (where == side::table)
      table[r.key] = {short_text(r.value), r.at_ms};
    else
      met.take(r.key, short_text(r.value), r.at_ms, where == side::right, now, tell);
  };
  each_step(records, number("salt", 0), rows, close, take);
  return rows;
}

template <class Number>
model_rows model_of_across(const Number& number, const std::vector<model_record>& records) {
  model_of_meetings met{join_figures(number)};
  model_table<std::string> table;
  model_table<int64_t> counts;
  model_rows rows;
  const model_of_meetings::report tell = [&](const std::string& key, const auto& left, const auto& right,
                                             int64_t at_ms) {
    const std::string made = both_of(left, right);
    if (is_shown(made)) rows.add("met", {key, made, at_ms, {}});
  };
  const auto close = [&](int64_t now) { met.close(now, tell); };
  const auto take = [&](const model_record& r, int64_t now) {
    const std::string value = short_text(r.value);
    met.take(r.key, value, r.at_ms, r.is_right, now, tell);
    if (r.is_right) {
      table[r.key] = {value, r.at_ms};
    } else {
      rows.add("enriched", {r.key, beside(value, value_in(table, r.key)), r.at_ms, {}});
      dated<int64_t>& count = counts[r.key];
      count = {count.value + 1, std::max(count.at_ms, r.at_ms)};
    }
    // A table beside a table changes with either of them, and is as young as the younger.
    int64_t at_ms = INT64_MIN;
    if (const auto found = table.find(r.key); found != table.end()) at_ms = found->second.at_ms;
    if (const auto found = counts.find(r.key); found != counts.end())
      at_ms = std::max(at_ms, found->second.at_ms);
    const std::string made =
        beside(std::to_string(value_in(counts, r.key).value_or(0)), value_in(table, r.key));
    rows.add("enriched", {r.key, made, at_ms, {}});
  };
  each_step(records, number("salt", 0), rows, close, take);
  return rows;
}

// What the processor of that name must make of these records with these options; nothing if it has no model.
inline std::optional<model_rows> modelled(std::string_view code,
                                          const std::map<std::string, std::string>& options,
                                          const std::vector<model_record>& records) {
  const auto number = [&options](const char* name, int64_t otherwise) -> int64_t {
    const auto found = options.find(name);
    return found == options.end() ? otherwise : std::stoll(found->second);
  };
  if (code == windowed_sums_names::name()) return model_of_windowed_sums(number, records);
  if (code == joined_names::name()) return model_of_joined(number, records);
  if (code == across_names::name()) return model_of_across(number, records);
  return std::nullopt;
}

}  // namespace millrace::processors::kit
