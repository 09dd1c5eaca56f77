// stream_codes: processors of the SDK's stream level for random topologies: aggregates by all kinds of
// windows, and joins, of one input and of two. Some records fail, once everything has been changed for them.
//
// What they must make of their records is in stream_models.h, which knows them by their options and by what
// stands here before the first of them.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <millrace/stream.h>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/checksum.h"
#include "processors/host/plugin.h"

namespace millrace::processors::kit {

// Whether a record fails in a processor with this salt: some do, always the same.
inline bool is_poison(std::string_view value, int64_t salt) {
  return xxh3(as_bytes(value), static_cast<uint64_t>(salt)) % 29 == 0;
}

// Of many results a third, always the same.
inline bool is_shown(std::string_view text) {
  return xxh3(as_bytes(text)) % 3 == 0;
}

// Sums of these tell which records are in them.
inline int64_t weight_of(std::string_view value) {
  return static_cast<int64_t>(xxh3(as_bytes(value), 3) % 1'000'000'007);
}

// Of a key with a window, in few bytes.
inline std::string text_of(std::string_view key, int64_t start_ms, int64_t end_ms) {
  return std::to_string(xxh3(as_bytes(key)) % 1000) + "@" + std::to_string(start_ms) + "-" +
         std::to_string(end_ms);
}

// Values as joins take them.
inline std::string short_text(std::string_view value) {
  return std::string(value.substr(0, 20));
}

// What a record is in `joined`.
enum class side : uint8_t { left, right, table };
inline side side_of(std::string_view value) {
  const uint64_t way = xxh3(as_bytes(value), 1) % 5;
  return way < 2 ? side::left : way < 4 ? side::right : side::table;
}

// Both come from options: `number(name, otherwise)` gives one.
struct window_figures {
  template <class Number>
  explicit window_figures(const Number& number)
      : size(number("size", 100)),
        advance(number("advance", 100)),
        gap(number("gap", 15)),
        difference(number("difference", 20)),
        grace(number("grace", 50)),
        on_close(number("on_close", 0)) {}
  bool is_on_close(int64_t which) const { return (on_close & which) != 0; }

  static constexpr int64_t times = 1;
  static constexpr int64_t sessions = 2;
  static constexpr int64_t sliding = 4;
  int64_t size;  // all in ms
  int64_t advance;
  int64_t gap;
  int64_t difference;
  int64_t grace;
  int64_t on_close;  // a sum of those above
};
struct join_figures {
  template <class Number>
  explicit join_figures(const Number& number)
      : before(number("before", 20)), after(number("after", 20)), grace(number("grace", 50)) {}
  int64_t before;  // all in ms
  int64_t after;
  int64_t grace;
};

// Under a key that is never null, as the harness's records have it when they come from another topic.
inline auto records_of(millrace::topology& t, const char* input = "in") {
  return t.from<millrace::raw>(input).select_key(
      [](const std::optional<millrace::raw>& key, const millrace::raw&) {
        return key ? std::string(key->bytes) : "<null>";
      },
      millrace::within_partition);
}

// Fails for some of what comes through, always the same.
template <class Stream>
void fail_for_some(const Stream& all, int64_t salt) {
  all.peek([salt](const auto&, const millrace::raw& value, millrace::context&) {
    if (is_poison(value.bytes, salt)) throw millrace::failure("poison");
  });
}

inline auto numbers_of(const millrace::topology& t) {
  return [&t](const char* name, int64_t otherwise) { return t.number(name, otherwise); };
}

// Sums by time windows, sessions and sliding windows, each on update or on close.
inline void windowed_sums(millrace::topology& t) {
  using std::chrono::milliseconds;
  const window_figures f(numbers_of(t));
  const auto all = records_of(t);
  const auto grouped = all.group_by_key();
  const millrace::grace late{milliseconds(f.grace)};
  const auto emitting = [&f](auto group, int64_t which) {
    return f.is_on_close(which) ? group.emit_on_close() : group.emit_on_update();
  };
  const auto add = [](const millrace::raw& next, int64_t so_far) { return so_far + weight_of(next.bytes); };
  const auto show = [](const auto& sums, const char* output) {
    sums.map([](const auto& key, const std::optional<int64_t>& sum) {
          return std::pair(text_of(key.key, key.window.start_ms, key.window.end_ms),
                           sum ? std::to_string(*sum) : "gone");
        })
        .filter([](const std::string& key, const std::string&) { return is_shown(key); })
        .to(output);
  };
  show(emitting(grouped.window(millrace::hopping(milliseconds(f.size), milliseconds(f.advance)), late),
                window_figures::times)
           .late_to("late")
           .aggregate("times", int64_t{0}, add),
       "times");
  show(emitting(grouped.window(millrace::session(milliseconds(f.gap)), late), window_figures::sessions)
           .late_to("late")
           .aggregate("sessions", int64_t{0}, add, std::plus<int64_t>()),
       "sessions");
  show(emitting(grouped.window(millrace::sliding(milliseconds(f.difference)), late), window_figures::sliding)
           .aggregate("sliding", int64_t{0}, add),
       "sliding");
  fail_for_some(all, t.number("salt", 0));
}

inline std::string both_of(const std::optional<std::string>& a, const std::optional<std::string>& b) {
  return a.value_or("-") + "+" + b.value_or("-");
}
inline std::string beside(const std::string& a, const std::optional<std::string>& b) {
  return a + "/" + b.value_or("-");
}
inline millrace::join_windows within_of(const millrace::topology& t) {
  using std::chrono::milliseconds;
  const join_figures f(numbers_of(t));
  return millrace::within(milliseconds(0), millrace::grace(milliseconds(f.grace)))
      .before(milliseconds(f.before))
      .after(milliseconds(f.after));
}

// Streams that meet, and a table behind them, all from one input.
inline void joined(millrace::topology& t) {
  const auto all = records_of(t);
  const auto text = [](const millrace::raw& value) { return short_text(value.bytes); };
  const auto [l, r, users] =
      all.branch([](const millrace::raw& v) { return side_of(v.bytes) == side::left; },
                 [](const millrace::raw& v) { return side_of(v.bytes) == side::right; },
                 [](const millrace::raw&) { return true; });
  const auto table = users.map_values(text).to_table("table");
  l.map_values(text)
      .outer_join(r.map_values(text), within_of(t), "met", both_of)
      .left_join(table, beside)
      .filter([](const std::string& made) { return is_shown(made); })
      .to("out");
  fail_for_some(all, t.number("salt", 0));
}

// Across two inputs: streams that meet, a stream beside a table, and a table beside a table.
inline void across(millrace::topology& t) {
  const auto text = [](const millrace::raw& value) { return short_text(value.bytes); };
  const auto left = records_of(t, "left");
  const auto right = records_of(t, "right");
  const auto table = right.map_values(text).to_table("table");
  left.map_values(text)
      .outer_join(right.map_values(text), within_of(t), "met", both_of)
      .filter([](const std::string& made) { return is_shown(made); })
      .to("met");
  left.map_values(text).left_join(table, beside).to("enriched");
  const auto counted = left.group_by_key().count("counts");
  counted
      .outer_join(table,
                  [](const std::optional<int64_t>& n, const std::optional<std::string>& b) {
                    return beside(std::to_string(n.value_or(0)), b);
                  })
      .to_stream()
      .to("enriched");
  fail_for_some(left, t.number("salt", 0));
  fail_for_some(right, t.number("salt", 0));
}

struct windowed_sums_names {
  static const char* name() { return "windowed sums"; }
  static const char* version() { return "1"; }
};
struct across_names {
  static const char* name() { return "across"; }
  static const char* version() { return "1"; }
};
struct joined_names {
  static const char* name() { return "joined"; }
  static const char* version() { return "1"; }
};

template <void (*Build)(millrace::topology&), class Names>
std::shared_ptr<const plugin> code_of_steps() {
  return plugin::wrap(millrace::topology_entry<millrace::topology_traits<Build, Names>>()).value();
}

}  // namespace millrace::processors::kit
