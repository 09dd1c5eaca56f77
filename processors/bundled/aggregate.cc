// aggregate: figures of the records of each key, by windows of time or of all so far.
//
//   results.NAME = "mean(speed)"   aggregates.h says which functions there are
//   key, within_partition, key_name: group_key.h
//   window = "1min"                tumbling windows; with every = "10s" hopping ones
//   sliding = "30s" or session = "5min" instead of window
//   grace = "10s"                  how long behind its end a window waits for records that come late
//   emit = "close" or "update"     one result when a window is closed (the default), or one with each record
//   late = true                    late records go to the output "late"
#include <memory>
#include <millrace/stream.h>
#include <utility>

#include "processors/bundled/aggregates.h"
#include "processors/bundled/expression.h"
#include "processors/bundled/group_key.h"
#include "processors/bundled/kinds.h"
#include "processors/bundled/reader.h"

namespace millrace {

namespace bundled {
namespace {
// What a store has of a group: aggregates::encode() of it.
struct group_bytes {
  std::string bytes;
};
}  // namespace
}  // namespace bundled

template <>
struct serde<bundled::group_bytes> {
  static void encode(const bundled::group_bytes& from, std::string& to) { to += from.bytes; }
  static bundled::group_bytes decode(std::string_view from) { return {std::string(from)}; }
};

namespace bundled {
namespace {

constexpr const char* store_name = "groups";

// What all instances of the steps share.
struct parts {
  explicit parts(settings& from)
      : source(from), lua(interpreter::make()), key(from, *lua), functions(from, "results", *lua) {}

  reader source;
  std::shared_ptr<interpreter> lua;
  group_key key;
  aggregates functions;
};
using parts_ptr = std::shared_ptr<const parts>;

struct window_settings {
  explicit window_settings(settings& from)
      : size_ms(from.duration_ms("window", 1)),
        advance_ms(from.duration_ms("every", 1)),
        sliding_ms(from.duration_ms("sliding", 1)),
        session_ms(from.duration_ms("session", 1)),
        grace_ms(from.duration_ms("grace", 0)),
        emit(from.choice("emit", {"close", "update"})),
        has_late(from.truth("late", false)) {
    if ((size_ms ? 1 : 0) + (sliding_ms ? 1 : 0) + (session_ms ? 1 : 0) > 1)
      from.refuse(session_ms ? "session" : "sliding", "one of window, sliding and session is possible");
    if (advance_ms && !size_ms) from.refuse("every", "it goes with window");
    if (has_windows()) return;
    for (const char* key : {"grace", "emit", "late"})
      if (from.text(key)) from.refuse(key, "it goes with window, sliding or session");
  }
  bool has_windows() const { return size_ms || sliding_ms || session_ms; }

  std::optional<std::int64_t> size_ms, advance_ms, sliding_ms, session_ms, grace_ms;
  std::string emit;
  bool has_late;
};

json result_of(const parts& all, const std::string& key, const group_bytes& of, const window* in) {
  json made = json::object();
  made[all.key.name()] = key;
  if (in) {
    made["window_start"] = in->start_ms;
    made["window_end"] = in->end_ms;
  }
  all.functions.put_results(all.functions.decode(of.bytes), made);
  return made;
}

void emit(const parts& all, const std::string& key, const group_bytes& of, const window* in, output out,
          const detail::moment& when) {
  const std::string bytes = encode(result_of(all, key, of, in));
  when.ctx().emit(out, emission().key(key).value(bytes).timestamp_ms(when.timestamp_ms));
  when.of->spent_bytes += key.size() + bytes.size();
}

auto adding(const parts_ptr& all) {
  return [all](const arguments& values, const group_bytes& so_far) {
    group next = so_far.bytes.empty() ? all->functions.nothing() : all->functions.decode(so_far.bytes);
    all->functions.add(next, values);
    return group_bytes{all->functions.encode(next)};
  };
}
auto merging(const parts_ptr& all) {
  return [all](const group_bytes& a, const group_bytes& b) {
    group both = all->functions.decode(a.bytes);
    all->functions.merge(both, all->functions.decode(b.bytes));
    return group_bytes{all->functions.encode(both)};
  };
}

using source_place = detail::place<std::string, arguments>;

template <class Windows>
void by_windows(const parts_ptr& all, const source_place& at, const settings& from, const window_settings& of,
                Windows windows, const char* key_of_windows) {
  try {
    auto group = grouped<std::string, arguments>(at).window(
        windows, grace(std::chrono::milliseconds(of.grace_ms.value_or(0))));
    if (of.emit == "close") group = group.emit_on_close();
    if (of.has_late) group = group.late_to("late");
    const auto results = group.aggregate(store_name, group_bytes{}, adding(all), merging(all));
    at.in->add_step({"to", main_output, {results.at().step}, {}, true});
    results.at().from->connect([all, out = at.in->add_output(main_output)](const auto& key, const auto& value,
                                                                           const detail::moment& when) {
      if constexpr (std::is_same_v<std::decay_t<decltype(value)>, group_bytes>) {
        emit(*all, key.key, value, &key.window, out, when);
      } else if (value) {
        emit(*all, key.key, *value, &key.window, out, when);
      }
    });
  } catch (const failure& e) {
    from.refuse(key_of_windows, e.what());
  }
}

void without_windows(const parts_ptr& all, const source_place& at) {
  const auto table = grouped<std::string, arguments>(at).aggregate(store_name, group_bytes{}, adding(all));
  const auto results = table.to_stream();
  at.in->add_step({"to", main_output, {results.at().step}, {}, true});
  results.at().from->connect([all, out = at.in->add_output(main_output)](
                                 const std::string& key, const auto& value, const detail::moment& when) {
    if (value) emit(*all, key, *value, nullptr, out, when);
  });
}

// Of a layout: stores of another one are not taken over.
std::uint32_t version_of(std::string_view layout) {
  std::uint32_t h = 2166136261u;
  for (const char c : layout) h = (h ^ static_cast<unsigned char>(c)) * 16777619u;
  return h == 0 ? 1 : h;
}

}  // namespace

void build_aggregate(topology& t, settings& from) {
  const auto all = std::make_shared<const parts>(from);
  const window_settings windows(from);
  for (const std::string& name : {all->key.name(), std::string("window_start"), std::string("window_end")})
    if (from.text("results." + name))
      from.refuse("results." + name, "results have a member " + name + " already");

  const std::size_t first = t.add_step({"from", "input", {}, {}, true});
  const std::size_t grouping =
      t.add_step({"group_by", all->key.describe() + ": " + all->functions.describe(), {first}, {}, false});
  const source_place at{&t, std::make_shared<detail::port<std::string, arguments>>(), grouping, false};
  t.set_source([all, next = at.from](const record& one, const detail::moment& when) {
    const json value = all->source.read(one);
    const row now{value, one};
    const auto key = all->key.of(now);
    if (!key) return when.ctx().count("records_without_key");
    next->push(*key, all->functions.evaluate(now), when);
  });

  std::string layout = "1;" + all->functions.layout();
  using std::chrono::milliseconds;
  if (windows.size_ms) {
    const milliseconds size(*windows.size_ms);
    const milliseconds advance(windows.advance_ms.value_or(*windows.size_ms));
    if (advance > size)
      from.refuse("every", "windows that begin farther apart than they are long leave gaps");
    if (size / advance > detail::windows_per_record_max)
      from.refuse("every", "each record would be in more than 10,000 windows");
    layout += "window " + std::to_string(size.count()) + " " + std::to_string(advance.count());
    by_windows(all, at, from, windows, hopping(size, advance), "window");
  } else if (windows.sliding_ms) {
    layout += "sliding " + std::to_string(*windows.sliding_ms);
    by_windows(all, at, from, windows, sliding(milliseconds(*windows.sliding_ms)), "sliding");
  } else if (windows.session_ms) {
    if (windows.emit == "update")
      from.refuse("emit", "sessions, which may grow together, give results when they are closed");
    layout += "session";
    by_windows(all, at, from, windows, session(milliseconds(*windows.session_ms)), "session");
  } else {
    without_windows(all, at);
  }
  t.state_version(version_of(layout));
}

}  // namespace bundled
}  // namespace millrace
