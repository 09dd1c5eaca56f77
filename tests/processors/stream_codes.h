// stream_codes: processors of the SDK's stream level for random topologies: aggregates by all kinds of
// windows, and a join. Some records fail, once everything has been changed for them.
#pragma once

#include <millrace/stream.h>
#include <string>
#include <string_view>
#include <utility>

#include "base/checksum.h"
#include "processors/host/plugin.h"

namespace millrace::processors::kit {

using namespace std::chrono_literals;

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
    if (xxh3(as_bytes(value.bytes), static_cast<uint64_t>(salt)) % 29 == 0) throw millrace::failure("poison");
  });
}

// A windowed key as text.
template <class Key>
std::string text_of(const Key& key) {
  return std::to_string(xxh3(as_bytes(key.key)) % 1000) + "@" + std::to_string(key.window.start_ms) + "-" +
         std::to_string(key.window.end_ms);
}

inline void windowed_counts(millrace::topology& t) {
  const auto all = records_of(t);
  const auto grouped = all.group_by_key();
  const auto named = [](const auto& key, int64_t count) {
    return std::pair(text_of(key), std::to_string(count));
  };
  grouped.window(millrace::tumbling(100ms), millrace::grace(50ms))
      .late_to("late")
      .count("tumbling")
      .map(named)
      .to("updates");
  grouped.window(millrace::hopping(200ms, 100ms)).emit_on_close().count("hopping").map(named).to("closed");
  grouped.window(millrace::sliding(20ms), millrace::grace(100ms))
      .emit_on_close()
      .count("sliding")
      .map(named)
      .filter([](const std::string& key, const std::string&) { return xxh3(as_bytes(key)) % 3 == 0; })
      .to("closed");
  grouped.window(millrace::session(15ms), millrace::grace(100ms))
      .emit_on_close()
      .count("sessions")
      .map([](const auto& key, const std::optional<int64_t>& count) {
        return std::pair(text_of(key), std::to_string(count.value_or(-1)));
      })
      .to("closed");
  fail_for_some(all, t.number("salt", 0));
}

inline void joined(millrace::topology& t) {
  const auto all = records_of(t);
  const auto text = [](const millrace::raw& value) { return std::string(value.bytes.substr(0, 20)); };
  const auto [l, r, users] =
      all.branch([](const millrace::raw& v) { return xxh3(as_bytes(v.bytes), 1) % 5 < 2; },
                 [](const millrace::raw& v) { return xxh3(as_bytes(v.bytes), 1) % 5 < 4; },
                 [](const millrace::raw&) { return true; });
  const auto table = users.map_values(text).to_table("table");
  const auto show = [](const std::optional<std::string>& a, const std::optional<std::string>& b) {
    return a.value_or("-") + "+" + b.value_or("-");
  };
  l.map_values(text)
      .outer_join(r.map_values(text), millrace::within(20ms, millrace::grace(100ms)).before(5ms), "met", show)
      .left_join(table,
                 [](const std::string& pair, const std::optional<std::string>& user) {
                   return pair + "/" + user.value_or("-");
                 })
      .filter([](const std::string& made) { return xxh3(as_bytes(made)) % 3 == 0; })
      .to("out");
  fail_for_some(all, t.number("salt", 0));
}

// The same across two inputs.
inline void across(millrace::topology& t) {
  const auto text = [](const millrace::raw& value) { return std::string(value.bytes.substr(0, 20)); };
  const auto left = records_of(t, "left");
  const auto right = records_of(t, "right");
  const auto table = right.map_values(text).to_table("table");
  const auto show = [](const std::optional<std::string>& a, const std::optional<std::string>& b) {
    return a.value_or("-") + "+" + b.value_or("-");
  };
  left.map_values(text)
      .outer_join(right.map_values(text), millrace::within(20ms, millrace::grace(100ms)), "met", show)
      .filter([](const std::string& made) { return xxh3(as_bytes(made)) % 3 == 0; })
      .to("met");
  left.map_values(text)
      .left_join(table, [](const std::string& a,
                           const std::optional<std::string>& b) { return a + "/" + b.value_or("-"); })
      .to("enriched");
  const auto counted = left.group_by_key().count("counts");
  counted
      .outer_join(table,
                  [](const std::optional<int64_t>& n, const std::optional<std::string>& b) {
                    return std::to_string(n.value_or(0)) + "/" + b.value_or("-");
                  })
      .to_stream()
      .to("enriched");
  fail_for_some(left, t.number("salt", 0));
  fail_for_some(right, t.number("salt", 0));
}

struct windowed_counts_names {
  static const char* name() { return "windowed counts"; }
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
