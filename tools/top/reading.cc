#include "tools/top/reading.h"

#include <algorithm>
#include <tuple>

namespace millrace::tools {

namespace {

double seconds_from(moment before, moment now) {
  return std::chrono::duration<double>(now - before).count();
}

template <class T>
double rate(T before, T now, double seconds) {
  return seconds > 0 && now > before ? static_cast<double>(now - before) / seconds : 0;
}

std::vector<topic_row> topics_of(const reading& before, const reading& now, double seconds) {
  std::vector<topic_row> rows;
  for (const auto& [name, ends] : now.ends) {
    topic_row row{.name = name, .partitions = ends.size()};
    const auto earlier = before.ends.find(name);
    int64_t grown = 0;
    for (const auto& [partition, end] : ends) {
      row.end += end;
      if (earlier == before.ends.end()) continue;
      const auto from = earlier->second.find(partition);
      if (from != earlier->second.end()) grown += std::max<int64_t>(0, end - from->second);
    }
    row.per_second = rate<int64_t>(0, grown, seconds);
    rows.push_back(std::move(row));
  }
  std::ranges::sort(rows, [](const topic_row& a, const topic_row& b) {
    return std::tie(b.per_second, a.name) < std::tie(a.per_second, b.name);
  });
  return rows;
}

std::vector<group_row> groups_of(const reading& before, const reading& now) {
  std::vector<group_row> rows;
  for (const auto& [name, group] : now.groups) {
    const auto earlier = before.groups.find(name);
    std::map<std::string, group_row> by_topic;
    for (const auto& [where, committed] : group.committed) {
      group_row& row = by_topic[where.topic];
      if (const auto topic = now.ends.find(where.topic); topic != now.ends.end()) {
        if (const auto end = topic->second.find(where.partition); end != topic->second.end())
          row.lag += std::max<int64_t>(0, end->second - committed);
      }
      if (earlier == before.groups.end()) continue;
      const auto from = earlier->second.committed.find(where);
      if (from != earlier->second.committed.end())
        row.per_second += rate(from->second, committed, seconds_from(earlier->second.at, group.at));
    }
    for (auto& [topic, row] : by_topic) {
      row.name = name;
      row.state = group.state;
      row.topic = topic;
      rows.push_back(std::move(row));
    }
  }
  std::ranges::sort(rows, [](const group_row& a, const group_row& b) {
    return std::tie(b.lag, a.name, a.topic) < std::tie(a.lag, b.name, b.topic);
  });
  return rows;
}

std::vector<processor_row> processors_of(const reading& before, const own_reading& now, double seconds) {
  std::vector<processor_row> rows;
  for (const processor_reading& p : now.processors) {
    processor_row row{.now = p};
    if (before.own) {
      const auto from = std::ranges::find(before.own->processors, p.name, &processor_reading::name);
      if (from != before.own->processors.end()) {
        row.in_per_second = rate(from->records_in, p.records_in, seconds);
        row.out_per_second = rate(from->records_out, p.records_out, seconds);
      }
    }
    rows.push_back(std::move(row));
  }
  std::ranges::sort(rows, [](const processor_row& a, const processor_row& b) {
    return std::tie(b.now.lag, a.now.name) < std::tie(a.now.lag, b.now.name);
  });
  return rows;
}

std::vector<shard_row> shards_of(const reading& before, const own_reading& now, double seconds) {
  std::vector<shard_row> rows;
  for (const shard_reading& s : now.shards) {
    shard_row row{.now = s};
    if (before.own) {
      const auto from = std::ranges::find(before.own->shards, s.shard, &shard_reading::shard);
      if (from != before.own->shards.end()) {
        row.busy = rate(from->cpu_seconds, s.cpu_seconds, seconds);
        row.bytes_per_second = rate(from->appended_bytes, s.appended_bytes, seconds);
        row.commits_per_second = rate(from->commits, s.commits, seconds);
      }
    }
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

snapshot compare(const reading& before, const reading& now) {
  const double seconds = seconds_from(before.at, now.at);
  snapshot seen{.time_ms = now.time_ms,
                .seconds = seconds,
                .cluster_id = now.cluster_id,
                .brokers = now.brokers,
                .topics = topics_of(before, now, seconds),
                .groups = groups_of(before, now)};
  if (now.own) {
    seen.processors = processors_of(before, *now.own, seconds);
    seen.shards = shards_of(before, *now.own, seconds);
  }
  return seen;
}

}  // namespace millrace::tools
