#include "tools/top/view.h"

#include <algorithm>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <limits>

#include "tools/cli/terminal.h"
#include "tools/text/json.h"
#include "tools/text/table.h"

namespace millrace::tools {

namespace {

constexpr std::string_view bold = "\x1b[1m", plain = "\x1b[0m";

struct section {
  std::vector<std::string> lines;  // the titles of its columns first
};

// Names come from whoever made them: what moves a terminal's cursor does not get there.
std::string printable(std::string_view text) {
  if (!is_utf8(text)) return "?";
  std::string shown(text);
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return shown;
}

// The first `columns` characters.
std::string cut(const std::string& text, size_t columns) {
  size_t at = 0;
  for (size_t seen = 0; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) continue;
    if (seen++ == columns) break;
  }
  return text.substr(0, at);
}

section section_of(const table& rows) {
  section made;
  const std::string text = rows.render(false);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    made.lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return made;
}

std::string whole(double number) {
  return with_thousands(static_cast<uint64_t>(std::max(0.0, number) + 0.5));
}
std::string whole(int64_t number) {
  return with_thousands(static_cast<uint64_t>(std::max<int64_t>(0, number)));
}

std::vector<section> sections_of(const snapshot& seen) {
  using enum table::align;
  std::vector<section> made;
  table topics({{"TOPIC"}, {"PARTITIONS", right}, {"RECORDS/S", right}, {"END", right}});
  for (const topic_row& row : seen.topics)
    topics.add({printable(row.name), std::to_string(row.partitions), whole(row.per_second), whole(row.end)});
  made.push_back(section_of(topics));
  table groups({{"GROUP"}, {"STATE"}, {"TOPIC"}, {"LAG", right}, {"COMMITTED/S", right}});
  for (const group_row& row : seen.groups)
    groups.add({printable(row.name), printable(row.state), printable(row.topic), whole(row.lag),
                whole(row.per_second)});
  if (!groups.empty()) made.push_back(section_of(groups));
  if (seen.processors && !seen.processors->empty()) {
    table processors(
        {{"PROCESSOR"}, {"STATE"}, {"INPUT"}, {"LAG", right}, {"IN/S", right}, {"OUT/S", right}});
    for (const processor_row& row : *seen.processors)
      processors.add({printable(row.now.name), printable(row.now.state), printable(row.now.input),
                      whole(row.now.lag), whole(row.in_per_second), whole(row.out_per_second)});
    made.push_back(section_of(processors));
  }
  if (seen.shards && !seen.shards->empty()) {
    table shards({{"SHARD", right},
                  {"BUSY", right},
                  {"PARTITIONS", right},
                  {"WRITTEN/S", right},
                  {"COMMITS/S", right},
                  {"CACHED", right}});
    for (const shard_row& row : *seen.shards)
      shards.add({std::to_string(row.now.shard), fmt::format("{:.0f}%", row.busy * 100),
                  std::to_string(row.now.partitions),
                  human_bytes(static_cast<uint64_t>(row.bytes_per_second + 0.5)),
                  whole(row.commits_per_second), human_bytes(row.now.cached_bytes)});
    made.push_back(section_of(shards));
  }
  return made;
}

std::string clock_of(int64_t time_ms) {
  return fmt::format("{:%H:%M:%S} UTC", fmt::gmtime(static_cast<std::time_t>(time_ms / 1000)));
}

std::string head_of(const snapshot& seen) {
  double all = 0;
  for (const topic_row& row : seen.topics) all += row.per_second;
  return fmt::format("cluster {}  {} broker{}  {} topic{}  {} records/s  {}", printable(seen.cluster_id),
                     seen.brokers, seen.brokers == 1 ? "" : "s", seen.topics.size(),
                     seen.topics.size() == 1 ? "" : "s", whole(all), clock_of(seen.time_ms));
}

}  // namespace

std::vector<size_t> share_lines(size_t available, const std::vector<size_t>& wanted) {
  std::vector<size_t> given(wanted.size(), 0);
  bool is_growing = true;
  while (available > 0 && is_growing) {
    is_growing = false;
    for (size_t i = 0; i < wanted.size() && available > 0; ++i) {
      if (given[i] == wanted[i]) continue;
      ++given[i];
      --available;
      is_growing = true;
    }
  }
  return given;
}

std::vector<std::string> as_screen(const snapshot& seen, std::string_view status, size_t width, size_t height,
                                   bool with_colour) {
  const auto bright = [&](const std::string& line) {
    return with_colour ? fmt::format("{}{}{}", bold, line, plain) : line;
  };
  std::vector<std::string> screen;
  if (height == 0) return screen;
  screen.push_back(bright(cut(fmt::format("{}  {}", head_of(seen), status), width)));
  const std::vector<section> sections = sections_of(seen);
  std::vector<size_t> wanted;
  for (const section& s : sections) wanted.push_back(s.lines.size() + 1);  // a blank line above each
  const std::vector<size_t> given = share_lines(height - 1, wanted);
  for (size_t i = 0; i < sections.size(); ++i) {
    const auto& lines = sections[i].lines;
    if (given[i] < 3 && given[i] < wanted[i]) continue;  // not even one row
    screen.emplace_back();
    screen.push_back(bright(cut(lines.front(), width)));
    const bool is_cut = given[i] < wanted[i];
    const size_t rows = given[i] - 2 - (is_cut ? 1 : 0);
    for (size_t row = 0; row < rows; ++row) screen.push_back(cut(lines[row + 1], width));
    if (is_cut) screen.push_back(cut(fmt::format("... {} more", lines.size() - 1 - rows), width));
  }
  return screen;
}

std::string as_text(const snapshot& seen) {
  constexpr size_t unbounded = std::numeric_limits<int32_t>::max();
  std::string text;
  for (const std::string& line : as_screen(seen, "", unbounded, unbounded, false)) {
    text += line;
    while (text.ends_with(' ')) text.pop_back();
    text += '\n';
  }
  return text;
}

std::string as_json(const snapshot& seen) {
  std::string text;
  json_writer json(text);
  json.begin_object().member("time_ms", seen.time_ms).member("seconds", seen.seconds);
  json.member("cluster_id", seen.cluster_id).member("brokers", seen.brokers);
  json.key("topics").begin_array();
  for (const topic_row& row : seen.topics) {
    json.begin_object().member("name", row.name).member("partitions", row.partitions);
    json.member("end", row.end).member("records_per_second", row.per_second).end_object();
  }
  json.end_array().key("groups").begin_array();
  for (const group_row& row : seen.groups) {
    json.begin_object().member("group", row.name).member("state", row.state).member("topic", row.topic);
    json.member("lag", row.lag).member("committed_per_second", row.per_second).end_object();
  }
  json.end_array().key("processors");
  if (!seen.processors) {
    json.null().key("shards").null().end_object();
    return text + "\n";
  }
  json.begin_array();
  for (const processor_row& row : *seen.processors) {
    json.begin_object()
        .member("name", row.now.name)
        .member("state", row.now.state)
        .member("input", row.now.input);
    json.member("lag", row.now.lag).member("in_per_second", row.in_per_second);
    json.member("out_per_second", row.out_per_second).end_object();
  }
  json.end_array().key("shards").begin_array();
  for (const shard_row& row : *seen.shards) {
    json.begin_object().member("shard", row.now.shard).member("busy", row.busy);
    json.member("partitions", row.now.partitions).member("bytes_per_second", row.bytes_per_second);
    json.member("commits_per_second", row.commits_per_second).member("cached_bytes", row.now.cached_bytes);
    json.end_object();
  }
  json.end_array().end_object();
  return text + "\n";
}

}  // namespace millrace::tools
