#include "processors/host/spec.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/limits.h"
#include "base/time_text.h"

namespace millrace::processors {
namespace {

// Less would stop the processor for each portion of records.
constexpr uint64_t outbox_bytes_min = 64 * 1024;
// The program itself, its stack and the shared memory are among them.
constexpr uint64_t process_bytes_min = 256 * 1024 * 1024;

bool is_topic_name(std::string_view name) {
  if (name.empty() || name.size() > limits::topic_name_max || name == "." || name == "..") return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

result<void> check_policy(const processor_spec& spec) {
  const bool has_topic = !spec.dead_letter.empty();
  if (spec.on_error == error_policy::dead_letter && !is_topic_name(spec.dead_letter))
    return fail(errc::invalid_config,
                "processor {}: on_error = \"dead_letter\" needs dead_letter = \"a topic\"", spec.name);
  if (has_topic && spec.on_error != error_policy::dead_letter)
    return fail(errc::invalid_config, "processor {}: dead_letter without on_error = \"dead_letter\"",
                spec.name);
  if (has_topic && reads(spec, spec.dead_letter))
    return fail(errc::invalid_config, "processor {}: dead_letter is its own input {}, which would never end",
                spec.name, spec.dead_letter);
  if (spec.on_error == error_policy::reject && (!spec.outputs.empty() || spec.retries > 0))
    return fail(errc::invalid_config,
                "processor {}: with on_error = \"reject\" it has neither outputs nor retries", spec.name);
  if (spec.on_error == error_policy::reject && spec.isolated != isolation::none)
    return fail(
        errc::invalid_config,
        "processor {}: with on_error = \"reject\" its answer is needed before a batch is appended, so "
        "isolation = \"inline\" alone is possible",
        spec.name);
  if (spec.retry_backoff_ms < 1 || spec.retry_backoff_ms > retry_backoff_ms_max)
    return fail(errc::invalid_config, "processor {}: retry_backoff_ms = {}: 1 to {} are possible", spec.name,
                spec.retry_backoff_ms, retry_backoff_ms_max);
  return {};
}

result<void> check_inputs(const processor_spec& spec) {
  for (const auto& [input, topic] : spec.inputs)
    if (!is_topic_name(topic))
      return fail(errc::invalid_config, "processor {}: input {} = \"{}\" is not a topic name", spec.name,
                  input, topic);
  if (!has_several_inputs(spec)) return {};
  if (topics_read(spec).size() < spec.inputs.size())
    return fail(errc::invalid_config, "processor {}: two of its inputs are one topic", spec.name);
  if (!is_topic_name(order_topic(spec.name)))
    return fail(errc::invalid_config,
                "processor {}: the name of the topic with the order of its inputs, {}, is "
                "too long for a topic",
                spec.name, order_topic(spec.name));
  if (spec.start.from == start_position::kind::offset)
    return fail(errc::invalid_config,
                "processor {}: start = {}: with several inputs an offset says nothing; a time does",
                spec.name, spec.start.at);
  if (spec.on_error == error_policy::reject)
    return fail(
        errc::invalid_config,
        "processor {}: with on_error = \"reject\" it judges the records of one topic, so it has one input",
        spec.name);
  return {};
}

result<void> check_one(const processor_spec& spec) {
  if (!is_topic_name(spec.name))
    return fail(errc::invalid_config, "processor name \"{}\" is not 1 to {} of a-z A-Z 0-9 . _ -", spec.name,
                limits::topic_name_max);
  if (spec.library.empty()) return fail(errc::invalid_config, "processor {}: library is missing", spec.name);
  if (!is_topic_name(spec.input))
    return fail(errc::invalid_config, "processor {}: input \"{}\" is not a topic name", spec.name,
                spec.input);
  MR_TRY(check_inputs(spec));
  for (const auto& [output, topic] : spec.outputs) {
    if (!is_topic_name(topic))
      return fail(errc::invalid_config, "processor {}: output {} = \"{}\" is not a topic name", spec.name,
                  output, topic);
    if (reads(spec, topic))
      return fail(errc::invalid_config, "processor {}: output {} is its own input {}, which would never end",
                  spec.name, output, topic);
  }
  for (const auto& [output, by] : spec.partition_by) {
    if (!spec.outputs.contains(output))
      return fail(errc::invalid_config, "processor {}: partition_by for output {}, which has no topic",
                  spec.name, output);
    if (by != partitioning::input && !is_topic_name(outbox_topic(spec.name, output)))
      return fail(errc::invalid_config, "processor {}: the name of its outbox, {}, is not a topic name",
                  spec.name, outbox_topic(spec.name, output));
  }
  if (spec.process_bytes_max < process_bytes_min)
    return fail(errc::invalid_config, "processor {}: process_bytes_max = {}: {} is the least that works",
                spec.name, spec.process_bytes_max, process_bytes_min);
  if (spec.outbox_bytes_max < outbox_bytes_min)
    return fail(errc::invalid_config, "processor {}: outbox_bytes_max = {}: {} is the least that works",
                spec.name, spec.outbox_bytes_max, outbox_bytes_min);
  for (const std::string& topic : spec.changelogs)
    if (!is_topic_name(topic))
      return fail(errc::invalid_config,
                  "processor {}: the name of its changelog, {}, is too long for a topic", spec.name, topic);
  return check_policy(spec);
}

// Follows chains downwards from `topic`; `path` holds the processors on the way.
result<void> check_chains(const std::vector<processor_spec>& specs, const std::string& topic,
                          std::vector<const processor_spec*>& path) {
  for (const processor_spec& spec : specs) {
    if (!reads(spec, topic)) continue;
    if (std::ranges::find(path, &spec) != path.end()) {
      std::string loop;
      for (const processor_spec* p : path)
        loop += fmt::format("{} -> {} -> ", fmt::join(topics_read(*p), "+"), p->name);
      return fail(errc::invalid_config, "processors form a loop: {}{}", loop, topic);
    }
    if (path.size() == depth_max)
      return fail(errc::invalid_config, "processor {}: more than {} processors in a chain", spec.name,
                  depth_max);
    path.push_back(&spec);
    for (const std::string& next : topics_written(spec)) MR_TRY(check_chains(specs, next, path));
    path.pop_back();
  }
  return {};
}

// An outbox belongs to one output, and records leave it: nobody else writes it or processes it.
result<void> check_outboxes(const std::vector<processor_spec>& specs) {
  for (const processor_spec& owner : specs)
    for (const auto& [output, by] : owner.partition_by) {
      if (by == partitioning::input) continue;
      const std::string outbox = outbox_topic(owner.name, output);
      for (const processor_spec& spec : specs) {
        if (reads(spec, outbox))
          return fail(errc::invalid_config,
                      "processor {}: its input {} is an outbox of processor {}; read {} instead", spec.name,
                      outbox, owner.name, owner.outputs.at(output));
        const auto written = topics_written(spec);
        if (std::ranges::count(written, outbox) > (&spec == &owner ? 1 : 0))
          return fail(errc::invalid_config, "processor {}: topic {} is the outbox of processor {}", spec.name,
                      outbox, owner.name);
      }
    }
  return {};
}

// What is between the stages of a processor, no other processor writes.
result<void> check_repartitions(const std::vector<processor_spec>& specs) {
  for (const processor_spec& owner : specs)
    for (const std::string& topic : owner.repartitions)
      for (const processor_spec& spec : specs) {
        const auto written = topics_written(spec);
        if (whole_name(spec) != whole_name(owner) && std::ranges::find(written, topic) != written.end())
          return fail(errc::invalid_config, "processor {}: topic {} is the repartition topic of processor {}",
                      spec.name, topic, whole_name(owner));
      }
  return {};
}

// Whether the name begins as those do that a processor, or a stage of it, gives to topics of its own.
bool is_of_a_stage(std::string_view processor, std::string_view topic) {
  if (!topic.starts_with(processor)) return false;
  const std::string_view behind = topic.substr(processor.size());
  return behind.starts_with("-") || behind.starts_with(".stage");
}

}  // namespace

partitioning partitioning_of(const processor_spec& spec, std::string_view output) {
  const auto said = spec.partition_by.find(std::string(output));
  return said == spec.partition_by.end() ? partitioning::input : said->second;
}

std::string outbox_topic(std::string_view processor, std::string_view output) {
  return fmt::format("{}-{}-outbox", processor, output);
}

std::string changelog_topic(std::string_view processor, std::string_view store) {
  return fmt::format("{}-{}-changelog", processor, store);
}

bool may_be_changelog(std::string_view processor, std::string_view topic) {
  return is_of_a_stage(processor, topic) && topic.ends_with("-changelog");
}

bool may_be_between_stages(std::string_view processor, std::string_view topic) {
  return is_of_a_stage(processor, topic) && (topic.ends_with("-repartition") || topic.ends_with("-outbox"));
}

std::vector<std::string> topics_read(const processor_spec& spec) {
  std::vector<std::string> topics;
  for (const auto& [input, topic] : spec.inputs)
    if (std::ranges::find(topics, topic) == topics.end()) topics.push_back(topic);
  if (topics.empty()) topics.push_back(spec.input);
  return topics;
}

bool reads(const processor_spec& spec, std::string_view topic) {
  if (spec.inputs.empty()) return spec.input == topic;
  return std::ranges::any_of(spec.inputs, [&](const auto& input) { return input.second == topic; });
}

bool is_between_stages(const processor_spec& spec, std::string_view topic) {
  return std::ranges::find(spec.repartitions, topic) != spec.repartitions.end();
}

std::string order_topic(std::string_view processor) {
  return fmt::format("{}-order", processor);
}

bool has_several_inputs(const processor_spec& spec) {
  return spec.inputs.size() > 1;
}

std::vector<std::string> topics_written(const processor_spec& spec) {
  std::vector<std::string> topics = topics_beside(spec);
  for (const auto& [output, topic] : spec.outputs)
    if (partitioning_of(spec, output) != partitioning::input) topics.push_back(topic);
  return topics;
}

std::vector<std::string> topics_beside(const processor_spec& spec) {
  std::vector<std::string> topics;
  for (const auto& [output, topic] : spec.outputs)
    topics.push_back(partitioning_of(spec, output) == partitioning::input ? topic
                                                                          : outbox_topic(spec.name, output));
  topics.insert(topics.end(), spec.changelogs.begin(), spec.changelogs.end());
  if (has_several_inputs(spec)) topics.push_back(order_topic(spec.name));
  if (!spec.dead_letter.empty()) topics.push_back(spec.dead_letter);
  return topics;
}

result<void> check_specs(const std::vector<processor_spec>& specs) {
  std::set<std::string_view> names;
  for (const processor_spec& spec : specs) {
    MR_TRY(check_one(spec));
    if (!names.insert(spec.name).second)
      return fail(errc::invalid_config, "two processors are named {}", spec.name);
  }
  // What is in a changelog is the state of one processor and nothing else.
  for (const processor_spec& owner : specs)
    for (const std::string& changelog : owner.changelogs)
      for (const processor_spec& spec : specs) {
        const auto written = topics_written(spec);
        if (std::ranges::count(written, changelog) > (&spec == &owner ? 1 : 0))
          return fail(errc::invalid_config, "processor {}: topic {} is the changelog of processor {}",
                      spec.name, changelog, owner.name);
      }
  for (const processor_spec& owner : specs) {
    if (!has_several_inputs(owner)) continue;
    const std::string order = order_topic(owner.name);
    for (const processor_spec& spec : specs) {
      const auto written = topics_written(spec);
      if (std::ranges::count(written, order) > (&spec == &owner ? 1 : 0))
        return fail(errc::invalid_config,
                    "processor {}: topic {} holds the order of the inputs of processor {}", spec.name, order,
                    owner.name);
    }
  }
  MR_TRY(check_outboxes(specs));
  MR_TRY(check_repartitions(specs));
  std::vector<const processor_spec*> path;
  for (const processor_spec& spec : specs)
    for (const std::string& input : topics_read(spec)) MR_TRY(check_chains(specs, input, path));
  return {};
}

std::vector<std::string> derived_topics(const std::vector<processor_spec>& specs, std::string_view topic) {
  std::vector<std::string> found{std::string(topic)};
  for (size_t i = 0; i < found.size(); ++i)
    for (const processor_spec& spec : specs) {
      if (!reads(spec, found[i])) continue;
      for (const std::string& next : topics_written(spec))
        if (std::ranges::find(found, next) == found.end()) found.push_back(next);
    }
  found.erase(found.begin());
  return found;
}

std::string flow_of(const std::vector<processor_spec>& specs, std::string_view topic) {
  std::set<std::string> flow{std::string(topic)};
  for (bool has_grown = true; has_grown;) {
    has_grown = false;
    for (const processor_spec& spec : specs) {
      std::set<std::string> topics;
      for (const std::string& from : topics_read(spec)) topics.insert(from);
      for (const std::string& to : topics_beside(spec)) topics.insert(to);
      const bool is_part =
          std::ranges::any_of(topics, [&](const std::string& t) { return flow.contains(t); });
      if (!is_part) continue;
      const size_t before = flow.size();
      flow.merge(topics);
      has_grown |= flow.size() != before;
    }
  }
  return *flow.begin();
}

uuid processor_id(std::string_view name) {
  uuid id;
  const uint64_t half[2] = {xxh3(as_bytes(name), 0x6d696c6c72616365),
                            xxh3(as_bytes(name), 0x70726f6365737331)};
  std::memcpy(id.bytes.data(), half, sizeof(half));
  return id;
}

uuid state_id_of(std::string_view name) {
  return processor_id(fmt::format("state of {}", name));
}

result<error_policy> parse_error_policy(std::string_view text) {
  if (text == "pause") return error_policy::pause;
  if (text == "skip") return error_policy::skip;
  if (text == "dead_letter") return error_policy::dead_letter;
  if (text == "reject") return error_policy::reject;
  return fail(errc::invalid_config,
              "on_error = \"{}\": \"pause\", \"skip\", \"dead_letter\" or \"reject\" are possible", text);
}

result<start_position> parse_start_position(std::string_view text) {
  if (text == "earliest" || text == "beginning") return start_position::earliest;
  if (text == "latest" || text == "end") return start_position::latest;
  using enum start_position::kind;
  if (text.starts_with("@")) {
    const auto ms = parse_time_ms(text.substr(1));
    if (!ms) return fail(errc::invalid_config, "start = \"{}\": {}", text, ms.error().message);
    return start_position{time, *ms};
  }
  start_position start{offset, 0};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), start.at);
  if (code == std::errc{} && end == text.data() + text.size() && start.at >= 0) return start;
  return fail(
      errc::invalid_config,
      "start = \"{}\": \"earliest\", \"latest\", an offset, or @ and a time (\"@2026-01-31T12:00:00Z\") "
      "are possible",
      text);
}

result<partitioning> parse_partitioning(std::string_view text) {
  if (text == "input") return partitioning::input;
  if (text == "key") return partitioning::key;
  if (text == "processor") return partitioning::processor;
  return fail(errc::invalid_config, "partition_by = \"{}\": \"input\", \"key\" or \"processor\" are possible",
              text);
}

result<isolation> parse_isolation(std::string_view text) {
  if (text == "inline") return isolation::none;
  if (text == "thread") return isolation::thread;
  if (text == "process") return isolation::process;
  return fail(errc::invalid_config, "isolation = \"{}\": \"inline\", \"thread\" or \"process\" are possible",
              text);
}

std::string_view name_of(isolation isolated) {
  switch (isolated) {
    case isolation::none:
      return "inline";
    case isolation::thread:
      return "thread";
    case isolation::process:
      return "process";
  }
  return "?";
}

}  // namespace millrace::processors
