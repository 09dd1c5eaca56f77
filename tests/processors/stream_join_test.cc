// Joins of the SDK's stream level: streams with tables and tables with tables on chosen records, streams with
// streams against their definition by brute force. Both sides come from one topic, told apart by the value.
#include <algorithm>
#include <set>

#include "tests/processors/stream_kit.h"

namespace {

using namespace stream_kit;
using millrace::topology;
using std::chrono::milliseconds;
using texts = std::vector<std::string>;
using optional_text = std::optional<std::string>;

bool is_left(const std::string& value) {
  return value[0] == 'L';
}
bool is_right(const std::string& value) {
  return value[0] == 'R';
}

std::string shown(const optional_text& a, const optional_text& b) {
  return a.value_or("-") + "+" + b.value_or("-");
}

texts shown(const harness& h, std::string_view output) {
  texts all;
  for (const auto& e : h.output(output))
    all.push_back(*e.key + "=" + e.value.value_or("<null>") + " @" + std::to_string(e.timestamp_ms));
  return all;
}

// ---- Tables. "L..." and "R..." are values of either side; "L" and "R" alone remove the key. ----
optional_text or_gone(const std::string& value) {
  return value.size() > 1 ? optional_text(value) : std::nullopt;
}

void tables(topology& t) {
  const auto [l, r] = t.from<std::string, std::string>("in").branch(is_left, is_right);
  const auto left = l.map_values(or_gone).to_table("left");
  const auto right = r.map_values(or_gone).to_table("right");
  left.join(right, [](const std::string& a, const std::string& b) { return shown(a, b); })
      .to_stream()
      .to("inner");
  left.left_join(right, [](const std::string& a, const optional_text& b) { return shown(a, b); })
      .to_stream()
      .to("left");
  const auto outer =
      left.outer_join(right, [](const optional_text& a, const optional_text& b) { return shown(a, b); });
  outer.to_stream().to("outer");
  // A table that is kept nowhere can be joined with all the same.
  l.join(outer, [](const std::string& v, const std::string& both) { return v + ":" + both; }).to("stream");
  l.left_join(right.filter([](const std::string& v) { return v != "Rhidden"; }), [](const std::string& v,
                                                                                    const optional_text& b) {
     return shown(v, b);
   }).to("stream-left");
}

TEST(stream_join_test, tables_follow_changes_of_either_side) {
  harness h(table_of<tables>());
  const auto feed = [&](const char* value, int64_t at) { h.feed({"k", value, at, {}}); };
  feed("L1", 10);
  feed("R1", 5);
  feed("L2", 20);
  feed("R", 30);
  feed("R", 31);  // nothing to remove
  feed("Rhidden", 32);
  feed("L", 40);
  feed("R", 50);
  h.feed({"other", "R9", 60, {}});
  EXPECT_TRUE(h.failures().empty());
  EXPECT_EQ(shown(h, "inner"),
            (texts{"k=L1+R1 @10", "k=L2+R1 @20", "k=<null> @30", "k=L2+Rhidden @32", "k=<null> @40"}));
  EXPECT_EQ(shown(h, "left"), (texts{"k=L1+- @10", "k=L1+R1 @10", "k=L2+R1 @20", "k=L2+- @30",
                                     "k=L2+Rhidden @32", "k=<null> @40"}));
  EXPECT_EQ(shown(h, "outer"),
            (texts{"k=L1+- @10", "k=L1+R1 @10", "k=L2+R1 @20", "k=L2+- @30", "k=L2+Rhidden @32",
                   "k=-+Rhidden @40", "k=<null> @50", "other=-+R9 @60"}));
  EXPECT_EQ(shown(h, "stream"), (texts{"k=L1:L1+- @10", "k=L2:L2+R1 @20", "k=L:-+Rhidden @40"}));
  EXPECT_EQ(shown(h, "stream-left"), (texts{"k=L1+- @10", "k=L2+R1 @20", "k=L+- @40"}));
  EXPECT_TRUE(h.store("left").empty());
  EXPECT_EQ(h.store("right").size(), 1u);
}

// ---- Streams ----
template <class Join>
void joined(topology& t, Join join) {
  const auto [l, r] = t.from<std::string, std::string>("in").branch(is_left, is_right);
  join(l, r,
       millrace::within(milliseconds(1), millrace::grace(milliseconds(t.number("grace", 0))))
           .before(milliseconds(t.number("before", 1)))
           .after(milliseconds(t.number("after", 1))))
      .to("out");
}
void inner(topology& t) {
  joined(t, [](const auto& l, const auto& r, auto in) {
    return l.join(r, in, "met", [](const std::string& a, const std::string& b) { return shown(a, b); });
  });
}
void left(topology& t) {
  joined(t, [](const auto& l, const auto& r, auto in) {
    return l.left_join(r, in, "met",
                       [](const std::string& a, const optional_text& b) { return shown(a, b); });
  });
}
void outer(topology& t) {
  joined(t, [](const auto& l, const auto& r, auto in) {
    return l.outer_join(r, in, "met",
                        [](const optional_text& a, const optional_text& b) { return shown(a, b); });
  });
}

struct figures {
  int64_t before;
  int64_t after;
  int64_t grace;
  bool keeps_left;
  bool keeps_right;
};

struct expectation {
  texts results;  // sorted
  int late = 0;
};

// A pair counts if the first still waited when the second came. Who is late does not wait.
expectation expected(const std::vector<harness::input>& all, const figures& f) {
  expectation want;
  const int count = static_cast<int>(all.size());
  const auto at = [&](int i) -> const harness::input& { return all[static_cast<size_t>(i)]; };
  std::vector<int64_t> now(all.size());
  for (int i = 0; i < count; ++i)
    now[static_cast<size_t>(i)] =
        i == 0 ? at(i).timestamp_ms : std::max(now[static_cast<size_t>(i - 1)], at(i).timestamp_ms);
  const auto waits = [&](int i, int64_t when) {
    return at(i).timestamp_ms + (is_left(*at(i).value) ? f.after : f.before) + f.grace >= when;
  };
  const auto is_late = [&](int i) { return !waits(i, now[static_cast<size_t>(i)]); };
  const auto line = [](const std::string& key, const std::string& value, int64_t when) {
    return key + "=" + value + " @" + std::to_string(when);
  };
  std::set<int> met;
  for (int j = 0; j < count; ++j) {
    want.late += is_late(j);
    for (int i = 0; i < j; ++i) {
      if (at(i).key != at(j).key || is_left(*at(i).value) == is_left(*at(j).value)) continue;
      const auto& l = at(is_left(*at(i).value) ? i : j);
      const auto& r = at(is_left(*at(i).value) ? j : i);
      if (r.timestamp_ms < l.timestamp_ms - f.before || r.timestamp_ms > l.timestamp_ms + f.after) continue;
      if (is_late(i) || !waits(i, now[static_cast<size_t>(j)])) continue;
      want.results.push_back(line(*l.key, shown(l.value, r.value), std::max(l.timestamp_ms, r.timestamp_ms)));
      met.insert(i);
      met.insert(j);
    }
  }
  for (int i = 0; i < count; ++i) {
    const bool is_over = is_late(i) || !waits(i, now.back());
    if (!is_over || met.count(i) || !(is_left(*at(i).value) ? f.keeps_left : f.keeps_right)) continue;
    const auto& value = at(i).value;
    want.results.push_back(
        line(*at(i).key, is_left(*value) ? shown(value, {}) : shown({}, value), at(i).timestamp_ms));
  }
  std::sort(want.results.begin(), want.results.end());
  return want;
}

void compare(const millrace_processor* table, bool keeps_left, bool keeps_right) {
  size_t results = 0;
  int late = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    dice roll(seed);
    const figures f{roll.below(60), roll.below(60), roll.below(3) == 0 ? 0 : roll.below(60), keeps_left,
                    keeps_right};
    auto records = numbered(seed, 200, 1 + roll.below(30));
    for (auto& r : records) r.value = (roll.below(2) ? "L" : "R") + *r.value;
    const expectation want = expected(records, f);
    texts first;
    for (uint64_t cut = 1; cut <= 3; ++cut) {
      harness h(table, {{"before", std::to_string(f.before)},
                        {"after", std::to_string(f.after)},
                        {"grace", std::to_string(f.grace)}});
      h.feed_all(records, seed * 10 + cut);
      ASSERT_TRUE(h.failures().empty()) << h.failures()[0].why;
      texts got = shown(h, "out");
      if (first.empty()) first = got;
      ASSERT_EQ(got, first) << "seed " << seed;  // in the same order, too
      std::sort(got.begin(), got.end());
      ASSERT_EQ(got, want.results) << "seed " << seed;
      ASSERT_EQ(h.metrics().count("met.late") ? h.metrics().at("met.late") : 0, want.late);
      ASSERT_EQ(h.store("met-calendar").size(), h.store("met-left").size() + h.store("met-right").size());
    }
    results += want.results.size();
    late += want.late;
  }
  EXPECT_GT(results, 1000u);
  EXPECT_GT(late, 100);
}

TEST(stream_join_test, streams_meet_in_a_window_of_time) {
  compare(table_of<inner>(), false, false);
}
TEST(stream_join_test, a_left_join_keeps_those_who_met_nobody) {
  compare(table_of<left>(), true, false);
}
TEST(stream_join_test, an_outer_join_keeps_those_of_either_side) {
  compare(table_of<outer>(), true, true);
}

TEST(stream_join_test, nothing_stays_for_ever) {
  harness h(table_of<outer>());
  for (const auto& r : numbered(3, 300, 10)) h.feed({r.key, "L" + *r.value, r.timestamp_ms, {}});
  h.feed({"k", "R", 1'000'000'000, {}});
  EXPECT_TRUE(h.store("met-left").empty());
  EXPECT_EQ(h.store("met-right").size(), 1u);
}

void new_key(topology& t) {
  const auto [l, r] = t.from<std::string, std::string>("in").branch(is_left, is_right);
  l.select_key([](const std::string& v) {
     return v;
   }).join(r, millrace::within(milliseconds(1)), "met", [](const std::string& a, const std::string& b) {
    return a + b;
  });
}
void table_with_new_key(topology& t) {
  const auto [l, r] = t.from<std::string, std::string>("in").branch(is_left, is_right);
  l.select_key([](const std::string& v) { return v; })
      .join(r.to_table("right"), [](const std::string& a, const std::string& b) { return a + b; })
      .to("out");
}
void table_by_new_key(topology& t) {
  t.from<std::string, std::string>("in").select_key([](const std::string& v) { return v; }).to_table("right");
}
void key_that_stays(topology& t) {
  const auto [l, r] = t.from<std::string, std::string>("in").branch(is_left, is_right);
  l.select_key([](const std::string& v) { return v; }, millrace::within_partition)
      .join(r.to_table("right"), [](const std::string& a, const std::string& b) { return a + b; })
      .to("out");
}
void backwards(topology& t) {
  const auto [l, r] = t.from<std::string, std::string>("in").branch(is_left, is_right);
  l.join(r, millrace::within(milliseconds(-1)), "met",
         [](const std::string& a, const std::string& b) { return a + b; });
}

TEST(stream_join_test, what_cannot_be_built_says_why) {
  for (const std::string& why :
       {refusal<new_key>(), refusal<table_with_new_key>(), refusal<table_by_new_key>()})
    EXPECT_EQ(why,
              "the processor does not start: the key has changed: send the records to where they belong by "
              "it, with through(\"a name\") before this step, or say within_partition where it changes");
  EXPECT_EQ(refusal<key_that_stays>(), "none");
  EXPECT_EQ(refusal<backwards>(),
            "the processor does not start: a join's window must be between 0 and 1,000 years");
}

}  // namespace
