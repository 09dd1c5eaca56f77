// failure_free: what random topologies must make of their input.
//
// The oracle is the SDK's harness: another host, which knows neither frames nor crashes, runs the same
// processors over the same records from the beginning, one topic after another. What it gets is a
// failure-free run's result. For processors with windows and joins, which do by far the most themselves, it
// has to agree with a model that shares no code with them.
#pragma once

#include <map>
#include <millrace/harness.h>
#include <optional>
#include <string>
#include <vector>

#include "tests/processors/random_topology.h"
#include "tests/processors/stream_models.h"

namespace millrace::processors::kit {

// Records of one input that were taken in a row: from that offset to the one before `until`.
struct taken_run {
  std::string input;
  int64_t from = 0;
  int64_t until = 0;
};

// Everything that follows, up to where it goes to other partitions, from the records of one partition.
struct implied {
  std::map<std::string, std::vector<seen_record>> records;                  // by topic
  std::map<std::string, std::map<std::string, std::string>> stores;         // by changelog
  std::map<std::string, std::map<int32_t, std::vector<seen_record>>> sent;  // by topic and partition
  uint64_t modelled = 0;  // records that models expect as well
  std::string problem;    // with the order in which somebody says to have taken its records, or with a model
};

// What the processor takes, by the runs that it says: each record of each input once, in order.
inline std::vector<millrace::harness::input> taken(const deployed_processor& p,
                                                   const std::vector<taken_run>& order,
                                                   std::map<std::string, std::vector<seen_record>>& records,
                                                   std::string& problem) {
  std::vector<millrace::harness::input> all;
  std::map<std::string, int64_t> next;
  for (const taken_run& run : order) {
    const auto& from = records[p.spec.inputs.at(run.input)];
    if (run.from != next[run.input] || run.until <= run.from ||
        run.until > static_cast<int64_t>(from.size())) {
      problem = fmt::format("{} says that it took {} from {} to {} when it stood at {} of {}", p.spec.name,
                            run.input, run.from, run.until, next[run.input], from.size());
      return all;
    }
    for (; next[run.input] < run.until; ++next[run.input]) {
      const seen_record& r = from[static_cast<size_t>(next[run.input])];
      all.push_back({r.key, r.value, r.timestamp_ms, {}, run.input});
    }
  }
  for (const auto& [input, topic] : p.spec.inputs)
    if (next[input] != static_cast<int64_t>(records[topic].size()))
      problem = fmt::format("{} says that it took {} records of {}, which has {}", p.spec.name, next[input],
                            topic, records[topic].size());
  return all;
}

inline std::optional<model_rows> model_of(const deployed_processor& p,
                                          const std::vector<millrace::harness::input>& records) {
  std::vector<model_record> all;
  for (const millrace::harness::input& r : records)
    all.push_back({*r.key, *r.value, r.timestamp_ms, r.from == "right"});
  return modelled(p.code->name(), p.spec.options, all);
}

// `orders` are those of processors with several inputs, by name.
inline implied failure_free(const topology& t, std::map<std::string, std::vector<seen_record>> sources,
                            const std::map<std::string, std::vector<taken_run>>& orders, int32_t partition,
                            uint64_t seed) {
  implied all;
  all.records = std::move(sources);
  for (const deployed_ptr& deployed : t.deployed->processors()) {
    const deployed_processor& p = *deployed;
    if (p.spec.is_shadow) continue;  // is compared with its processor
    millrace_processor table = code_like(known_codes(), identity_of(*p.code))->table();
    table.further_stage_count = 0;  // these are among the processors
    millrace::harness h(&table, {p.spec.options.begin(), p.spec.options.end()}, partition, shown_name(p.spec),
                        p.spec.input);
    for (const auto& [output, by] : p.spec.partition_by) {
      const int32_t count = t.partitions.at(p.spec.outputs.at(output));
      by == partitioning::key ? h.partition_by_key(output, count) : h.partition_by_processor(output, count);
    }
    std::vector<seen_record> read = all.records[p.spec.input];
    size_t first = 0;
    if (p.spec.until) {
      // A partition that only other roots have is empty in this picture.
      const std::vector<int64_t>& until = *p.spec.until;
      const auto at = static_cast<size_t>(partition);
      const size_t end = at < until.size() ? static_cast<size_t>(until[at]) : 0;
      read.resize(std::min(read.size(), end));
      first = std::min(read.size(), static_cast<size_t>(p.spec.start.at));
      read.erase(read.begin(), read.begin() + static_cast<ptrdiff_t>(first));
    }
    std::vector<millrace::harness::input> input;
    if (has_several_inputs(p.spec)) {
      const auto order = orders.find(p.spec.name);
      if (order != orders.end()) input = taken(p, order->second, all.records, all.problem);
      if (!all.problem.empty()) return all;
    } else {
      for (const seen_record& r : read) input.push_back({r.key, r.value, r.timestamp_ms, {}});
    }
    // Headers are carried on by whoever reads them; these carry all or nothing.
    if (p.code->reads_headers()) {
      for (size_t i = 0; i < read.size(); ++i)
        if (!read[i].headers.empty()) input[i].headers.emplace_back("by", read[i].headers);
    }
    h.start_at(static_cast<int64_t>(first));
    h.feed_all(input, seed);
    for (const auto& [output, topic] : p.spec.outputs) {
      auto& records = all.records[topic];  // stays empty if they are sent
      for (const millrace::harness::emitted& e : h.output(output)) {
        std::string headers;
        for (const auto& [key, value] : e.headers) headers += value.value_or("");
        const bool is_sent = partitioning_of(p.spec, output) != partitioning::input;
        (is_sent ? all.sent[topic][e.partition] : records)
            .push_back({e.key.value_or("<null>"), e.value.value_or("<null>"), e.timestamp_ms, headers});
      }
    }
    if (const auto model = model_of(p, input)) {
      for (const auto& [output, topic] : p.spec.outputs) {
        if (all.problem.empty()) all.problem = model->difference(output, all.records[topic]);
        all.modelled += model->count(output);
      }
      if (!all.problem.empty()) all.problem = fmt::format("{}: {}", p.spec.name, all.problem);
      if (!all.problem.empty()) return all;
    }
    if (!p.spec.dead_letter.empty()) {
      auto& dead = all.records[p.spec.dead_letter];
      for (const auto& f : h.failures()) {
        const std::string& topic = f.from.empty() ? p.spec.input : p.spec.inputs.at(f.from);
        seen_record r = f.from.empty() ? read[static_cast<size_t>(f.offset) - first]
                                       : all.records[topic][static_cast<size_t>(f.offset)];
        r.headers += shown_name(p.spec) + f.why + topic;
        dead.push_back(r);
      }
    }
    for (size_t i = 0; i < p.code->stores().size(); ++i) {
      const auto& content = h.store(p.code->stores()[i]);
      all.stores[p.spec.changelogs[i]] = {content.begin(), content.end()};
    }
  }
  return all;
}

}  // namespace millrace::processors::kit
