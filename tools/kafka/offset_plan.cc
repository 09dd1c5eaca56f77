#include "tools/kafka/offset_plan.h"

#include <algorithm>
#include <fstream>
#include <map>

#include "tools/kafka/topics.h"
#include "tools/text/number.h"

namespace millrace::tools {

namespace {

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  while (true) {
    const size_t end = text.find(at);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

result<void> add_topic(handle& client, const std::string& text, std::vector<topic_partition>& to) {
  const size_t colon = text.rfind(':');
  const auto topic = find_topic(client, text.substr(0, colon));
  if (!topic) return fail(topic.error());
  if (colon == std::string::npos) {
    for (const partition_info& p : topic->partitions) to.push_back({topic->name, p.id});
    return {};
  }
  for (const std::string& one : split(std::string_view(text).substr(colon + 1), ',')) {
    const auto number = to_number(one);
    if (!number)
      return fail(errc::invalid_argument, "'{}' is no topic with partitions; write orders:0,2", text);
    const bool exists =
        std::ranges::any_of(topic->partitions, [&](const auto& p) { return p.id == *number; });
    if (!exists) return fail(errc::unknown_topic_or_partition, "'{}' has no partition {}", topic->name, one);
    to.push_back({topic->name, static_cast<int32_t>(*number)});
  }
  return {};
}

std::string without_quotes(std::string text) {
  if (text.ends_with('\r')) text.pop_back();
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') return text.substr(1, text.size() - 2);
  return text;
}

// Names of topics hold neither commas nor quotes, so a line splits at its commas; a group's name may, and is
// then refused.
result<std::map<topic_partition, int64_t>> read_plan(const std::string& path, const std::string& group) {
  std::ifstream file(path);
  if (!file) return fail(errc::invalid_argument, "cannot open {}", path);
  std::map<topic_partition, int64_t> plan;
  size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.empty() || line == "\r") continue;
    std::vector<std::string> cells = split(line, ',');
    for (std::string& cell : cells) cell = without_quotes(std::move(cell));
    if (cells.size() == 4) {
      if (cells[0] != group) continue;  // a file for several groups
      cells.erase(cells.begin());
    }
    const auto partition = cells.size() == 3 ? to_number(cells[1]) : std::nullopt;
    const auto offset = cells.size() == 3 ? to_number(cells[2]) : std::nullopt;
    if (!partition || !offset || cells[0].empty() || *partition < 0 || *partition > INT32_MAX ||
        *offset < 0) {
      return fail(errc::invalid_argument, "{}, line {}: wanted topic,partition,offset, not '{}'", path,
                  number, line);
    }
    plan[{cells[0], static_cast<int32_t>(*partition)}] = *offset;
  }
  if (plan.empty()) return fail(errc::invalid_argument, "{} has nothing for group '{}'", path, group);
  return plan;
}

struct topic_offsets {
  topic_info topic;
  std::map<int32_t, offset_range> ranges;
};

result<topic_offsets> read_topic(handle& client, const std::string& name) {
  auto topic = find_topic(client, name);
  if (!topic) return fail(topic.error());
  const auto ranges = offsets_of(client, *topic);
  if (!ranges) return fail(ranges.error());
  topic_offsets found{std::move(*topic), {}};
  for (size_t i = 0; i < ranges->size(); ++i) found.ranges[found.topic.partitions[i].id] = (*ranges)[i];
  return found;
}

}  // namespace

result<std::vector<topic_partition>> chosen_partitions(handle& client, const partition_choice& choice,
                                                       const std::vector<committed_offset>& committed) {
  std::vector<topic_partition> chosen;
  for (const std::string& text : choice.topics) MR_TRY(add_topic(client, text, chosen));
  if (choice.all_topics) {
    for (const committed_offset& one : committed) chosen.push_back(one.where);
  }
  std::ranges::sort(chosen);
  const auto rest = std::ranges::unique(chosen);
  chosen.erase(rest.begin(), rest.end());
  return chosen;
}

result<std::vector<planned_offset>> plan_offsets(handle& client, const std::string& group,
                                                 const partition_choice& choice,
                                                 const offset_target& target) {
  using kind = offset_target::kind;
  const auto committed = committed_offsets(client, group);
  if (!committed) return fail(committed.error());
  std::map<topic_partition, int64_t> before, wanted;
  for (const committed_offset& one : *committed) before[one.where] = one.offset;
  std::vector<topic_partition> chosen;
  if (target.to == kind::file) {
    auto plan = read_plan(target.path, group);
    if (!plan) return fail(plan.error());
    wanted = std::move(*plan);
    for (const auto& [where, _] : wanted) chosen.push_back(where);
  } else {
    auto named = chosen_partitions(client, choice, *committed);
    if (!named) return fail(named.error());
    chosen = std::move(*named);
  }

  std::vector<planned_offset> plan;
  std::optional<topic_offsets> at;  // chosen is sorted: one topic at a time
  for (const topic_partition& where : chosen) {
    if (!at || at->topic.name != where.topic) {
      auto found = read_topic(client, where.topic);
      if (!found) return fail(found.error());
      at = std::move(*found);
    }
    const auto range = at->ranges.find(where.partition);
    if (range == at->ranges.end()) {
      return fail(errc::unknown_topic_or_partition, "'{}' has no partition {}", where.topic, where.partition);
    }
    const auto [first, next] = range->second;
    const auto had = before.find(where);
    planned_offset planned{.where = where};
    if (had != before.end()) planned.before = had->second;
    int64_t after = 0;
    switch (target.to) {
      case kind::earliest:
        after = first;
        break;
      case kind::latest:
        after = next;
        break;
      case kind::current:
        after = planned.before.value_or(next);
        break;
      case kind::offset:
        after = target.number;
        break;
      case kind::shift:
        if (!planned.before) {
          return fail(errc::invalid_argument, "group '{}' has no offset for {} [{}] that could be shifted",
                      group, where.topic, where.partition);
        }
        after = *planned.before + target.number;
        break;
      case kind::time: {
        const auto found = offsets_at(client, where.topic, {where.partition}, target.number);
        if (!found) return fail(found.error());
        after = found->front();
        break;
      }
      case kind::file:
        after = wanted[where];
        break;
    }
    planned.after = std::clamp(after, first, next);
    planned.was_clamped = planned.after != after;
    plan.push_back(std::move(planned));
  }
  return plan;
}

}  // namespace millrace::tools
