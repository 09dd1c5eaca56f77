// Windows and joins of the SDK's stream level against what Kafka Streams makes of the same records:
// tests/data/streams has both, and the program that made the rows. Where Kafka Streams does otherwise, the
// test says so.
#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "tests/processors/stream_kit.h"

namespace {

using namespace stream_kit;
using namespace std::chrono_literals;
using optional_text = std::optional<std::string>;

template <class Key>
std::string shown(const Key& key) {
  return key.key + " " + std::to_string(key.window.start_ms) + " " + std::to_string(key.window.end_ms);
}

std::string add(const std::string& next, const std::string& so_far) {
  return so_far + next + " ";
}
const auto merge = [](const std::string& a, const std::string& b) { return a + b; };

template <class Group>
auto emitting(const millrace::topology& t, const Group& group) {
  return t.number("on_close", 0) ? group.emit_on_close() : group.emit_on_update();
}
template <class Stream>
void out(const Stream& results) {
  results.select_key([](const auto& key, const auto&) { return shown(key); }).to("out");
}
auto records_of(millrace::topology& t) {
  return t.from<std::string, std::string>("in");
}

void tumbling(millrace::topology& t) {
  out(emitting(t, records_of(t).group_by_key().window(millrace::tumbling(30s), millrace::grace(10s)))
          .aggregate("kept", std::string(), add));
}
void hopping(millrace::topology& t) {
  out(emitting(t, records_of(t).group_by_key().window(millrace::hopping(30s, 10s), millrace::grace(10s)))
          .aggregate("kept", std::string(), add));
}
void sliding(millrace::topology& t) {
  out(emitting(t, records_of(t).group_by_key().window(millrace::sliding(10s), millrace::grace(15s)))
          .aggregate("kept", std::string(), add));
}
void session(millrace::topology& t) {
  out(emitting(t, records_of(t).group_by_key().window(millrace::session(7s), millrace::grace(5s)))
          .aggregate("kept", std::string(), add, merge));
}

const auto pair = [](const auto& a, const auto& b) {
  const optional_text left = a;
  const optional_text right = b;
  return left.value_or("-") + "+" + right.value_or("-");
};
auto sides(millrace::topology& t) {
  return records_of(t).branch([](const std::string& v) { return v[0] == 'L'; },
                              [](const std::string& v) { return v[0] == 'R'; });
}
millrace::join_windows bounds() {
  return millrace::within(4s, millrace::grace(6s)).before(2s);
}
void join(millrace::topology& t) {
  const auto [left, right] = sides(t);
  left.join(right, bounds(), "met", pair).to("out");
}
void left_join(millrace::topology& t) {
  const auto [left, right] = sides(t);
  left.left_join(right, bounds(), "met", pair).to("out");
}
void outer_join(millrace::topology& t) {
  const auto [left, right] = sides(t);
  left.outer_join(right, bounds(), "met", pair).to("out");
}

optional_text or_gone(const std::string& value) {
  // As in WindowRows.java.
  const bool is_gone = value.back() == '0' && value.substr(value.size() - 2) != "10";
  return is_gone ? std::nullopt : optional_text(value);
}
void table_join(millrace::topology& t) {
  const auto [left, right] = sides(t);
  left.map_values(or_gone)
      .to_table("left")
      .join(right.map_values(or_gone).to_table("right"), pair)
      .to_stream()
      .to("out");
}
void table_left_join(millrace::topology& t) {
  const auto [left, right] = sides(t);
  left.map_values(or_gone)
      .to_table("left")
      .left_join(right.map_values(or_gone).to_table("right"), pair)
      .to_stream()
      .to("out");
}
void table_outer_join(millrace::topology& t) {
  const auto [left, right] = sides(t);
  left.map_values(or_gone)
      .to_table("left")
      .outer_join(right.map_values(or_gone).to_table("right"), pair)
      .to_stream()
      .to("out");
}
void stream_table_join(millrace::topology& t) {
  const auto [left, right] = sides(t);
  left.join(right.map_values(or_gone).to_table("right"), pair).to("out");
}
void stream_table_left_join(millrace::topology& t) {
  const auto [left, right] = sides(t);
  left.left_join(right.map_values(or_gone).to_table("right"), pair).to("out");
}
void count(millrace::topology& t) {
  records_of(t)
      .group_by_key()
      .count("kept")
      .map_values([](int64_t n) { return std::to_string(n); })
      .to_stream()
      .to("out");
}

// The fields of each line.
std::vector<std::vector<std::string>> lines_of(const std::string& file) {
  std::ifstream in(std::string(STREAMS_DATA_DIR) + "/" + file);
  std::vector<std::vector<std::string>> all;
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    auto& row = all.emplace_back();
    for (std::string field; std::getline(fields, field, '\t');) row.push_back(field);
  }
  return all;
}

using rows = std::vector<std::string>;

// Kafka Streams' rows for a case, sorted: "key=value @timestamp".
rows expected(const std::string& file, const std::string& name) {
  rows all;
  for (const auto& row : lines_of(file + "-rows.tsv"))
    if (row.at(0) == name) all.push_back(row.at(1) + "=" + row.at(2) + " @" + row.at(3));
  std::sort(all.begin(), all.end());
  return all;
}

rows results(const std::string& file, const millrace_processor* table, bool on_close) {
  harness h(table, {{"on_close", on_close ? "1" : "0"}});
  std::vector<harness::input> records;
  for (const auto& row : lines_of(file + ".tsv"))
    records.push_back({row.at(0), row.at(1), std::stoll(row.at(2)), {}});
  h.feed_all(records);
  EXPECT_TRUE(h.failures().empty());
  rows all;
  for (const auto& e : h.output("out"))
    all.push_back(*e.key + "=" + e.value.value_or("<null>") + " @" + std::to_string(e.timestamp_ms));
  std::sort(all.begin(), all.end());
  return all;
}

void expect_the_same(const std::string& file, const std::string& name, const millrace_processor* table,
                     bool on_close = false) {
  const rows want = expected(file, name);
  const rows got = results(file, table, on_close);
  ASSERT_FALSE(want.empty()) << name;
  rows missing;
  rows added;
  std::set_difference(want.begin(), want.end(), got.begin(), got.end(), std::back_inserter(missing));
  std::set_difference(got.begin(), got.end(), want.begin(), want.end(), std::back_inserter(added));
  EXPECT_TRUE(missing.empty() && added.empty())
      << name << ": of " << want.size() << " rows " << missing.size() << " are missing, like "
      << (missing.empty() ? "" : missing[0]) << ", and " << added.size() << " are there instead, like "
      << (added.empty() ? "" : added[0]);
}

TEST(stream_rows_test, windows_are_those_of_kafka_streams) {
  expect_the_same("late", "tumbling-update", table_of<tumbling>());
  expect_the_same("late", "tumbling-close", table_of<tumbling>(), true);
  expect_the_same("late", "hopping-update", table_of<hopping>());
  expect_the_same("late", "hopping-close", table_of<hopping>(), true);
  expect_the_same("late", "session-update", table_of<session>());
  expect_the_same("late", "session-close", table_of<session>(), true);
  expect_the_same("late", "count", table_of<count>());
  // Of late records Kafka Streams may forget, in windows that begin later, those that an open window took.
  expect_the_same("orderly", "sliding-update", table_of<sliding>());
  expect_the_same("orderly", "sliding-close", table_of<sliding>(), true);
}

TEST(stream_rows_test, joins_are_those_of_kafka_streams) {
  // Whom late records meet depends, in Kafka Streams, on what its stores happen to have still.
  expect_the_same("orderly", "join", table_of<join>());
  expect_the_same("orderly", "left-join", table_of<left_join>());
  expect_the_same("orderly", "outer-join", table_of<outer_join>());
  expect_the_same("late", "table-join", table_of<table_join>());
  expect_the_same("late", "table-left-join", table_of<table_left_join>());
  expect_the_same("late", "table-outer-join", table_of<table_outer_join>());
  expect_the_same("late", "stream-table-join", table_of<stream_table_join>());
  expect_the_same("late", "stream-table-left-join", table_of<stream_table_left_join>());
}

}  // namespace
