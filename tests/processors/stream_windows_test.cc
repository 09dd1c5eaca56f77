// Windows of the SDK's stream level against what their definitions say, computed by brute force: out-of-order
// and late records, several keys, gaps, grace, sessions that grow together; and that results do not depend on
// where calls begin and end.
#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "tests/processors/stream_kit.h"

namespace {

using namespace stream_kit;
using std::chrono::milliseconds;

// One result: for which window, made of which records, when.
struct result {
  std::string key;
  int64_t start;
  int64_t end;
  std::set<int> records;  // empty: taken back
  int64_t at_ms;
  bool operator<(const result& o) const {
    return std::tie(start, end, key, at_ms, records) < std::tie(o.start, o.end, o.key, o.at_ms, o.records);
  }
  bool operator==(const result& o) const { return !(*this < o) && !(o < *this); }
};
std::ostream& operator<<(std::ostream& to, const result& r) {
  to << r.key << " [" << r.start << ", " << r.end << "] @" << r.at_ms << ":";
  for (const int i : r.records) to << " " << i;
  return to;
}

std::set<int> numbers_in(const std::string& text) {
  std::istringstream in(text);
  std::set<int> all;
  for (int i = 0; in >> i;) EXPECT_TRUE(all.insert(i).second) << "twice in " << text;
  return all;
}

// What was emitted: key "k1 start end", value the numbers.
std::vector<result> results_of(const harness& h) {
  std::vector<result> all;
  for (const auto& e : h.output("results")) {
    result one{{}, 0, 0, e.value ? numbers_in(*e.value) : std::set<int>(), e.timestamp_ms};
    std::istringstream(*e.key) >> one.key >> one.start >> one.end;
    all.push_back(one);
  }
  return all;
}

std::string add(const std::string& next, const std::string& so_far) {
  return so_far + next;
}

template <class Group>
auto emitting(const millrace::topology& t, Group group) {
  return (t.number("on_close", 0) ? group.emit_on_close() : group.emit_on_update()).late_to("late");
}
template <class Windowed>
std::string shown(const Windowed& key) {
  return key.key + " " + std::to_string(key.window.start_ms) + " " + std::to_string(key.window.end_ms);
}

auto input_of(millrace::topology& t) {
  return t.from<std::string, std::string>("input").group_by_key();
}

void time_windows(millrace::topology& t) {
  const auto windows =
      millrace::hopping(milliseconds(t.number("size", 1)), milliseconds(t.number("advance", 1)));
  emitting(t, input_of(t).window(windows, millrace::grace(milliseconds(t.number("grace", 0)))))
      .aggregate("sums", std::string(), add)
      .select_key([](const auto& key, const auto&) { return shown(key); })
      .to("results");
}

void sliding(millrace::topology& t) {
  emitting(t, input_of(t).window(millrace::sliding(milliseconds(t.number("size", 1))),
                                 millrace::grace(milliseconds(t.number("grace", 0)))))
      .aggregate("sums", std::string(), add)
      .select_key([](const auto& key, const auto&) { return shown(key); })
      .to("results");
}

void sessions(millrace::topology& t) {
  emitting(t, input_of(t).window(millrace::session(milliseconds(t.number("size", 1))),
                                 millrace::grace(milliseconds(t.number("grace", 0)))))
      .aggregate("sums", std::string(), add, [](const std::string& a, const std::string& b) { return a + b; })
      .select_key([](const auto& key, const auto&) { return shown(key); })
      .to("results");
}

struct figures {
  int64_t size;
  int64_t advance;
  int64_t grace;
  bool on_close;

  harness::options options() const {
    return {{"size", std::to_string(size)},
            {"advance", std::to_string(advance)},
            {"grace", std::to_string(grace)},
            {"on_close", on_close ? "1" : "0"}};
  }
};

struct expectation {
  std::vector<result> results;  // in order
  std::set<int> late;           // records that missed a window
};

int64_t newest(const std::vector<harness::input>& all, const std::set<int>& of) {
  int64_t at = INT64_MIN;
  for (const int i : of) at = std::max(at, all[static_cast<size_t>(i)].timestamp_ms);
  return at;
}

// Windows with their records; what closes comes first at each record, in the order of closing times.
expectation expected_time_windows(const std::vector<harness::input>& all, const figures& f) {
  expectation want;
  std::map<std::pair<int64_t, std::string>, std::set<int>> open;
  int64_t now = INT64_MIN;
  for (int i = 0; i < static_cast<int>(all.size()); ++i) {
    const auto& r = all[static_cast<size_t>(i)];
    now = std::max(now, r.timestamp_ms);
    while (!open.empty() && open.begin()->first.first + f.size + f.grace <= now) {
      const auto& [id, records] = *open.begin();
      if (f.on_close)
        want.results.push_back({id.second, id.first, id.first + f.size, records, newest(all, records)});
      open.erase(open.begin());
    }
    for (int64_t start = 0; start <= r.timestamp_ms; start += f.advance) {
      if (start + f.size <= r.timestamp_ms) continue;
      if (start + f.size + f.grace <= now) {
        want.late.insert(i);
        continue;
      }
      auto& records = open[{start, *r.key}];
      records.insert(i);
      if (!f.on_close) want.results.push_back({*r.key, start, start + f.size, records, newest(all, records)});
    }
  }
  return want;
}

expectation expected_sliding(const std::vector<harness::input>& all, const figures& f) {
  expectation want;
  const int64_t d = f.size;
  std::vector<int> accepted;
  std::set<std::pair<int64_t, std::string>> known;  // ever
  std::set<std::pair<int64_t, std::string>> open;
  int64_t now = INT64_MIN;
  const auto records_in = [&](const std::string& key, int64_t start) {
    std::set<int> found;
    for (const int i : accepted) {
      const auto& r = all[static_cast<size_t>(i)];
      if (*r.key == key && r.timestamp_ms >= start && r.timestamp_ms <= start + d) found.insert(i);
    }
    return found;
  };
  const auto say = [&](const std::string& key, int64_t start) {
    const auto records = records_in(key, start);
    want.results.push_back({key, start, start + d, records, newest(all, records)});
  };
  for (int i = 0; i < static_cast<int>(all.size()); ++i) {
    const auto& r = all[static_cast<size_t>(i)];
    const int64_t t = r.timestamp_ms;
    now = std::max(now, t);
    const auto is_open = [&](int64_t start) { return start + d + 1 + f.grace > now; };
    std::vector<std::pair<int64_t, std::string>> closing;
    for (const auto& id : open)
      if (!is_open(id.first)) closing.push_back(id);
    for (const auto& id : closing) {
      if (f.on_close) say(id.second, id.first);
      open.erase(id);
    }
    accepted.push_back(i);
    std::set<int64_t> starts;
    for (const int k : accepted) {
      const auto& o = all[static_cast<size_t>(k)];
      if (*o.key != *r.key) continue;
      starts.insert(o.timestamp_ms - d);
      if (!records_in(*r.key, o.timestamp_ms + 1).empty()) starts.insert(o.timestamp_ms + 1);
    }
    if (std::none_of(starts.begin(), starts.end(),
                     [&](int64_t start) { return start <= t && t <= start + d && is_open(start); })) {
      accepted.pop_back();
      want.late.insert(i);
      continue;
    }
    for (const int64_t start : starts) {
      const bool is_new = known.insert({start, *r.key}).second;
      if (is_new && is_open(start)) open.insert({start, *r.key});
      const bool holds_it = start <= t && t <= start + d;
      if (!f.on_close && is_open(start) && (holds_it || is_new)) say(*r.key, start);
    }
  }
  return want;
}

expectation expected_sessions(const std::vector<harness::input>& all, const figures& f) {
  expectation want;
  struct session {
    std::string key;
    int64_t start;
    int64_t end;
    std::set<int> records;
  };
  std::vector<session> open;
  int64_t now = INT64_MIN;
  for (int i = 0; i < static_cast<int>(all.size()); ++i) {
    const auto& r = all[static_cast<size_t>(i)];
    now = std::max(now, r.timestamp_ms);
    const auto is_over = [&](int64_t end) { return end + f.size + f.grace < now; };
    std::vector<result> closed;
    for (const session& one : open)
      if (is_over(one.end)) closed.push_back({one.key, one.start, one.end, one.records, one.end});
    std::sort(closed.begin(), closed.end(), [](const auto& a, const auto& b) {
      return std::tie(a.end, a.key, a.start) < std::tie(b.end, b.key, b.start);
    });
    if (f.on_close) want.results.insert(want.results.end(), closed.begin(), closed.end());
    open.erase(std::remove_if(open.begin(), open.end(), [&](const session& one) { return is_over(one.end); }),
               open.end());
    session whole{*r.key, r.timestamp_ms, r.timestamp_ms, {i}};
    std::vector<session> merged;
    std::vector<session> others;
    for (const session& one : open) {
      const bool is_near =
          one.key == *r.key && one.end + f.size >= r.timestamp_ms && one.start - f.size <= r.timestamp_ms;
      (is_near ? merged : others).push_back(one);
    }
    for (const session& one : merged) {
      whole.start = std::min(whole.start, one.start);
      whole.end = std::max(whole.end, one.end);
      whole.records.insert(one.records.begin(), one.records.end());
    }
    if (is_over(whole.end)) {
      want.late.insert(i);
      continue;
    }
    std::sort(merged.begin(), merged.end(), [](const auto& a, const auto& b) { return a.start < b.start; });
    if (!f.on_close) {
      for (const session& one : merged)
        if (whole.start != r.timestamp_ms || whole.end != r.timestamp_ms)
          want.results.push_back({one.key, one.start, one.end, {}, one.end});
      want.results.push_back({whole.key, whole.start, whole.end, whole.records, whole.end});
    }
    open = others;
    open.push_back(whole);
  }
  return want;
}

// Which records came out as late, once or more.
std::set<int> late_of(const harness& h) {
  std::set<int> all;
  for (const auto& e : h.output("late")) all.insert(std::stoi(*e.value));
  return all;
}

template <class Expected>
void compare(const millrace_processor* table, Expected expected) {
  size_t results = 0;
  size_t late = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    dice roll(seed);
    figures f{};
    f.size = 1 + roll.below(60);
    f.advance = std::max<int64_t>(1, f.size / (1 + roll.below(4)));
    f.grace = roll.below(3) == 0 ? 0 : roll.below(80);
    f.on_close = seed % 2 == 0;
    auto records = numbered(seed, 150, 1 + roll.below(30));
    for (auto& r : records) r.timestamp_ms -= 990'000;  // the brute force goes through all windows
    const expectation want = expected(records, f);
    std::string context = "seed " + std::to_string(seed) + " size " + std::to_string(f.size) + " advance " +
                          std::to_string(f.advance) + " grace " + std::to_string(f.grace);
    for (uint64_t cut = 1; cut <= 3; ++cut) {
      harness h(table, f.options());
      h.feed_all(records, seed * 10 + cut);
      ASSERT_TRUE(h.failures().empty()) << context << " " << h.failures()[0].why;
      const auto got = results_of(h);
      for (size_t i = 0; i < std::min(got.size(), want.results.size()); ++i)
        ASSERT_EQ(got[i], want.results[i]) << context << " result " << i;
      ASSERT_EQ(got.size(), want.results.size()) << context;
      ASSERT_EQ(late_of(h), want.late) << context;
    }
    results += want.results.size();
    late += want.late.size();
  }
  EXPECT_GT(results, 2000u);
  EXPECT_GT(late, 100u);
}

TEST(stream_windows_test, tumbling_and_hopping_windows_hold_what_they_should) {
  compare(table_of<time_windows>(), expected_time_windows);
}
TEST(stream_windows_test, sliding_windows_hold_what_they_should) {
  compare(table_of<sliding>(), expected_sliding);
}
TEST(stream_windows_test, sessions_hold_what_they_should) {
  compare(table_of<sessions>(), expected_sessions);
}

}  // namespace
