// topology: random chains and trees of processors, and what they must make of their input.
//
// The oracle is the SDK's harness: another host, which knows neither frames nor crashes, runs the same
// processors over the same records from the beginning, one topic after another. What it gets is a
// failure-free run's result.
#pragma once

#include <millrace/harness.h>

#include "base/checksum.h"
#include "base/prng.h"
#include "processors/host/stages.h"
#include "tests/processors/guest_kit.h"
#include "tests/processors/stateful_kit.h"
#include "tests/processors/stream_codes.h"

namespace millrace::processors::kit {

// Whether a record fails in a processor with this salt: some do, always the same.
inline bool is_poison(std::string_view value, int64_t salt) {
  return xxh3(as_bytes(value), static_cast<uint64_t>(salt)) % 29 == 0;
}

// Appends its name to each value, and to every fifth a header.
class appender {
 public:
  explicit appender(const millrace::setup& setup)
      : out_(setup.output("out")), name_(setup.processor_name()), salt_(setup.number("salt", 0)) {}
  void process(const millrace::record& record, millrace::context& context) {
    const std::string value = std::string(record.value().value_or("")) + "." + name_;
    millrace::emission made;
    made.key(record.key()).value(value);
    if (xxh3(as_bytes(value)) % 5 == 0) made.header("by", name_);
    context.emit(out_, made);
    if (is_poison(value, salt_)) throw millrace::failure("poison");
  }

 private:
  millrace::output out_;
  std::string name_;
  int64_t salt_;
};

// Sends records one way, the other way, both ways or nowhere.
class forker {
 public:
  explicit forker(const millrace::setup& setup)
      : left_(setup.output("left")), right_(setup.output("right")) {}
  void process(const millrace::record& record, millrace::context& context) {
    const uint64_t way = xxh3(as_bytes(record.value().value_or("")), 77) % 7;
    if (way < 4) context.emit(left_, record);
    if (way > 2 && way < 6) context.emit(right_, record);
  }

 private:
  millrace::output left_;
  millrace::output right_;
};

// Counts values by a few keys, forgets a key at nine, and keeps the last value of each in a second store. The
// second version keeps those otherwise.
template <int Version>
class tally {
 public:
  explicit tally(const millrace::setup& setup)
      : counts_(setup, "counts"),
        last_(setup, "last"),
        out_(setup.output("out")),
        salt_(setup.number("salt", 0)) {}
  void process(const millrace::record& record, millrace::context& context) {
    const std::string value(record.value().value_or(""));
    const auto key = static_cast<int64_t>(xxh3(as_bytes(value)) % 13) - 6;
    const int64_t count = counts_.get(context, key).value_or(0) + 1;
    const std::string before =
        last_.get(context, std::to_string(key)).value_or(prefix() + "nothing").substr(prefix().size());
    counts_.put(context, key, count);
    last_.put(context, std::to_string(key), prefix() + value.substr(0, 40));
    context.emit(out_, std::to_string(key), std::to_string(count) + " after " + before);
    if (is_poison(value, salt_)) throw millrace::failure("poison");
    if (count < 9) return;
    counts_.erase(context, key);
    last_.erase(context, std::to_string(key));
  }

 protected:
  static std::string prefix() { return Version == 1 ? "" : "last: "; }
  millrace::table<millrace::ordered<int64_t>, int64_t> counts_;
  millrace::table<std::string, std::string> last_;

 private:
  millrace::output out_;
  int64_t salt_;
};

class next_tally : public tally<2> {
 public:
  using tally::tally;
  void migrate(const millrace::old_entry& entry, millrace::context& context) {
    if (entry.store() == "last")
      last_.put(context, entry.key_as<std::string>(), prefix() + entry.value_as<std::string>());
  }
};

// Gives records another key, and with `choice` names their partition itself. What it emits tells where it
// comes from, "name/partition", so that records of several sources can be told apart where they meet.
class scatterer {
 public:
  explicit scatterer(const millrace::setup& setup, std::string_view out = "out")
      : out_(setup.output(out)),
        from_(std::string(setup.processor_name()) + "/" + std::to_string(setup.partition())),
        salt_(setup.number("salt", 0)),
        has_choice_(setup.option("choice").has_value()) {}
  void process(const millrace::record& record, millrace::context& context) {
    const std::string value = std::string(record.value().value_or("")) + "~";
    const uint64_t hash = xxh3(as_bytes(value), 5);
    const std::string key = std::to_string(hash % 9);
    millrace::emission made;
    made.value(value).header("from", from_);
    if (hash % 8 != 0) made.key(key);  // else null
    if (has_choice_ && hash % 3 != 0)
      context.emit_to(out_, static_cast<int32_t>(hash % 1000) % context.partition_count(out_), made);
    else
      context.emit(out_, made);
    if (is_poison(value, salt_)) throw millrace::failure("poison");
  }

 private:
  millrace::output out_;
  std::string from_;
  int64_t salt_;
  bool has_choice_;
};

// The first of two stages: what it scatters goes to the second one, which counts.
class first_stage : public scatterer {
 public:
  explicit first_stage(const millrace::setup& setup) : scatterer(setup, "between") {}
};

// Two inputs: to each record what the other one had last.
class weaver {
 public:
  explicit weaver(const millrace::setup& setup)
      : left_(setup.input("left")),
        last_(setup, "last"),
        out_(setup.output("out")),
        salt_(setup.number("salt", 0)) {}
  void process(const millrace::record& record, millrace::context& context) {
    const std::string value(record.value().value_or(""));
    const bool is_left = record.is_from(left_);
    const std::string other = last_.get(context, is_left ? "right" : "left").value_or("nothing");
    last_.put(context, is_left ? "left" : "right", value.substr(0, 40));
    context.emit(out_, is_left ? "left" : "right", value.substr(0, 60) + "&" + other.substr(0, 20));
    if (is_poison(value, salt_)) throw millrace::failure("poison");
  }

 private:
  millrace::input left_;
  millrace::table<std::string, std::string> last_;
  millrace::output out_;
  int64_t salt_;
};

struct weaver_traits {
  using type = weaver;
  static constexpr millrace::definition shape =
      millrace::define("weaver", "1").input("left").input("right").output("out").store("last");
};
struct appender_traits {
  using type = appender;
  static constexpr millrace::definition shape = millrace::define("appender", "1").output("out");
};
struct forker_traits {
  using type = forker;
  static constexpr millrace::definition shape =
      millrace::define("forker", "1").output("left").output("right").reads_headers();
};
struct scatterer_traits {
  using type = scatterer;
  static constexpr millrace::definition shape = millrace::define("scatterer", "1").output("out");
};
struct tally_traits {
  using type = tally<1>;
  static constexpr millrace::definition shape =
      millrace::define("tally", "1").output("out").store("counts").store("last").state_version(1);
};
struct next_tally_traits {
  using type = next_tally;
  static constexpr millrace::definition shape = millrace::define("tally", "2")
                                                    .output("out")
                                                    .store("counts")
                                                    .store("last")
                                                    .state_version(2)
                                                    .migrates_from(1);
};

struct first_stage_traits {
  using type = first_stage;
  static constexpr millrace::definition shape = millrace::define("staged", "1").output("between");
};
struct second_stage_traits {
  using type = tally<1>;
  static constexpr millrace::definition shape = millrace::define("second stage", "1")
                                                    .input("between")
                                                    .output("out")
                                                    .store("counts")
                                                    .store("last")
                                                    .state_version(1);
};
inline std::shared_ptr<const plugin> staged_code() {
  static const millrace_processor* const further[] = {
      millrace::processor_adapter<second_stage_traits>::table()};
  static const millrace_processor table = [] {
    millrace_processor made = *millrace::processor_adapter<first_stage_traits>::table();
    made.further_stage_count = 1;
    made.further_stages = further;
    return made;
  }();
  return plugin::wrap(&table).value();
}

// What a topology begins with.
inline const code_list& all_codes() {
  static const code_list all{code_of<appender_traits>(),
                             code_of<forker_traits>(),
                             code_of<tally_traits>(),
                             code_of<scatterer_traits>(),
                             code_of<windows_traits>(),
                             code_of_steps<windowed_counts, windowed_counts_names>(),
                             code_of_steps<joined, joined_names>(),
                             code_of<weaver_traits>(),
                             code_of_steps<across, across_names>(),
                             staged_code()};
  return all;
}
// And what may run later.
inline const code_list& known_codes() {
  static const code_list known = [] {
    code_list codes = all_codes();
    codes.push_back(code_of<next_tally_traits>());
    codes.push_back(code_of<second_stage_traits>());
    return codes;
  }();
  return known;
}

// A record as rule 25 compares them.
struct seen_record {
  std::string key;
  std::string value;
  int64_t timestamp_ms = 0;
  std::string headers;

  bool operator==(const seen_record&) const = default;
};

struct topology {
  std::vector<std::string> sources;
  std::vector<processor_spec> specs;  // inputs come before what reads them
  std::vector<std::shared_ptr<const plugin>> codes;
  std::shared_ptr<const deployment> deployed;
  // Sources, and topics whose records come from other partitions: where pictures of what follows begin.
  std::vector<std::string> roots;
  std::map<std::string, int32_t> partitions;  // of each topic
  // A replay of one of them, which may be deployed later; its topics are there.
  std::optional<deployed_processor> replay;
  // And a shadow of one whose records stay with their partition.
  std::optional<deployed_processor> shadow;
  std::vector<processor_spec> all_specs;  // with those of both

  std::vector<std::string> topics() const {
    std::vector<std::string> all;
    for (const auto& [topic, count] : partitions) all.push_back(topic);
    return all;
  }
  bool is_source(const std::string& topic) const {
    return std::ranges::find(sources, topic) != sources.end();
  }
};

// What follows from these topics partition by partition.
inline std::vector<std::string> derived_beside(const topology& t, const std::vector<std::string>& roots) {
  std::vector<std::string> found = roots;
  for (size_t i = 0; i < found.size(); ++i)
    for (const processor_spec& spec : t.deployed->specs())
      if (reads(spec, found[i]))
        for (const std::string& next : topics_beside(spec))
          if (std::ranges::find(found, next) == found.end()) found.push_back(next);
  found.erase(found.begin(), found.begin() + static_cast<ptrdiff_t>(roots.size()));
  return found;
}

// The topics that the processor writes; `count_of` says how many partitions those have that it sends to.
template <class CountOf>
void add_topics(topology& t, const deployed_processor& p, CountOf count_of) {
  const int32_t count = t.partitions.at(p.spec.input);
  for (const std::string& topic : p.target_topics()) t.partitions[topic] = count;
  for (size_t i = 0; i < p.output_topics.size(); ++i) {
    if (!p.has_outbox(i)) continue;
    t.roots.push_back(p.output_topics[i]);
    t.partitions[p.output_topics[i]] = count_of(p.output_topics[i]);
  }
}

// `first` names the code of the first processor, if it is not to be left to chance.
inline topology random_topology(prng& random, std::string_view first = {}) {
  topology t;
  const bool has_processes = random.below(12) == 0;  // which take real time to start
  t.sources = {"s0"};
  if (random.below(3) == 0) t.sources.push_back("s1");
  std::vector<std::string> inputs = t.sources;
  std::map<std::string, int32_t> counts;  // of their partitions
  for (const std::string& source : t.sources) counts[source] = 4;
  const uint64_t count = 1 + random.below(6);
  uint64_t stages_left = depth_max - count;  // a chain of them all must be possible
  for (uint64_t i = 0; i < count; ++i) {
    std::shared_ptr<const plugin> code = all_codes()[static_cast<size_t>(random.below(all_codes().size()))];
    for (const std::shared_ptr<const plugin>& known : all_codes())
      if (i == 0 && known->name() == first) code = known;
    // Of the newest topics more often than of the others, for the sake of chains.
    const std::string input =
        random.below(2) == 0 ? inputs.back() : inputs[static_cast<size_t>(random.below(inputs.size()))];
    std::string other;
    for (const std::string& topic : inputs)
      if (topic != input && counts[topic] == counts[input] && (other.empty() || random.below(2) == 0))
        other = topic;
    // The first one has one input and one stage, so that there is something to replay.
    const bool is_whole = code->further_stages().empty();
    if (code->inputs().size() > 1 && (other.empty() || i == 0)) code = all_codes().front();
    if (!is_whole && (i == 0 || stages_left == 0)) code = all_codes().front();
    processor_spec spec =
        spec_for(*code, "p" + std::to_string(i), input, {{"salt", std::to_string(random.below(100))}});
    spec.outputs.clear();
    for (const std::string& output : code->outputs()) spec.outputs[output] = spec.name + "." + output;
    const bool is_staged = !code->further_stages().empty();
    if (is_staged) --stages_left;
    if (is_staged) spec.outputs = {{"out", spec.name + ".out"}};
    if (code->inputs().size() > 1) {
      spec.inputs = {{"left", input}, {"right", other}};
      if (random.below(2) == 0) std::swap(spec.inputs["left"], spec.inputs["right"]);
      spec.input = spec.inputs.begin()->second;
    }
    if (code->name() == "scatterer") {
      spec.partition_by["out"] = random.below(2) == 0 ? partitioning::key : partitioning::processor;
      if (spec.partition_by["out"] == partitioning::processor) spec.options["choice"] = "its own";
    }
    if (random.below(4) == 0) spec.outbox_bytes_max = 64 * 1024;
    spec.on_error = error_policy::skip;
    // (Whose dead letters come first, those of one stage or of the other, nothing says.)
    if (random.below(2) == 0 && !is_staged) {
      spec.on_error = error_policy::dead_letter;
      spec.dead_letter = spec.name + ".dead";
    }
    spec.retries = random.below(4) == 0 ? 1 : 0;
    spec.retry_backoff_ms = 1;
    if (random.below(3) == 0) spec.isolated = isolation::thread;
    if (has_processes && random.below(2) == 0 && !is_staged) {
      spec.isolated = isolation::process;
      code = elsewhere(code);
    }
    spec.output_compression = random.below(3) == 0 ? protocol::codec::lz4 : protocol::codec::none;
    int32_t beside = counts[input];
    if (is_staged) {
      beside = static_cast<int32_t>(1 + random.below(5));
      counts[repartition_topic(spec.name, "between")] = beside;
    }
    for (const auto& [output, topic] : spec.outputs) {
      inputs.push_back(topic);
      const bool is_beside = partitioning_of(spec, output) == partitioning::input;
      counts[topic] = is_beside ? beside : static_cast<int32_t>(1 + random.below(5));
    }
    t.specs.push_back(spec);
    t.codes.push_back(code);
  }
  t.deployed = std::make_shared<const deployment>(deployment::assemble(t.specs, t.codes).value());
  t.roots = t.sources;
  for (const std::string& source : t.sources) t.partitions[source] = 4;
  for (const deployed_ptr& deployed : t.deployed->processors())
    add_topics(t, *deployed, [&](const std::string& topic) { return counts.at(topic); });
  const auto with_one_input = [&] {
    const size_t chosen = static_cast<size_t>(random.below(t.specs.size()));
    return has_several_inputs(t.specs[chosen]) || !t.codes[chosen]->further_stages().empty() ? 0 : chosen;
  };
  const size_t replayed = with_one_input();
  processor_spec again = t.specs[replayed];
  again.stands_for = again.name;
  again.name += ".replay";
  for (auto& [output, topic] : again.outputs) topic += ".replay";
  if (!again.dead_letter.empty()) again.dead_letter += ".replay";
  t.replay = deployment::prepare(again, t.codes[replayed]).value();
  const auto as_the_first = [&](const std::string& topic) {
    return t.partitions.at(topic.substr(0, topic.size() - std::string_view(".replay").size()));
  };
  add_topics(t, *t.replay, as_the_first);
  t.all_specs = t.deployed->specs();
  t.all_specs.push_back(t.replay->spec);
  const size_t shadowed = with_one_input();
  if (t.specs[shadowed].partition_by.empty()) {
    processor_spec beside = t.specs[shadowed];
    beside.stands_for = beside.name;
    beside.is_shadow = true;
    beside.name += ".shadow";
    for (auto& [output, topic] : beside.outputs) topic += ".shadow";
    if (!beside.dead_letter.empty()) beside.dead_letter += ".shadow";
    t.shadow = deployment::prepare(beside, t.codes[shadowed]).value();
    add_topics(t, *t.shadow, as_the_first);
    t.all_specs.push_back(t.shadow->spec);
  }
  return t;
}

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
  std::string problem;  // with the order in which somebody says to have taken its records
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

// What outlives a life: what clients were told.
struct outside {
  topology what;
  // By source and partition: value acknowledged, by offset.
  std::map<std::pair<std::string, int32_t>, std::map<int64_t, std::string>> acked;
  int64_t next_number = 1;
  uint64_t derived = 0;
  uint64_t restored = 0;
  uint64_t snapshots = 0;
  uint64_t changes = 0;
  uint64_t migrations = 0;
  uint64_t replays = 0;
  uint64_t shadows = 0;
  uint64_t compared = 0;  // records of shadows
  uint64_t sent = 0;      // partitions of senders seen at targets
  uint64_t apart = 0;     // calls that did not run on their shard
  uint64_t turns = 0;     // of inputs of processors with several
};

// Of many runs.
struct totals {
  uint64_t crashes = 0;
  uint64_t derived = 0;
  uint64_t restored = 0;
  uint64_t snapshots = 0;
  uint64_t changes = 0;
  uint64_t migrations = 0;
  uint64_t replays = 0;
  uint64_t shadows = 0;
  uint64_t compared = 0;
  uint64_t sent = 0;
  uint64_t apart = 0;
  uint64_t turns = 0;
};

// A partition's records as clients see them.
inline task<std::vector<seen_record>> read_records(storage::shard_store& store,
                                                   storage::topic_partition_id id) {
  std::vector<seen_record> all;
  storage::partition_log* log = store.find(id);
  storage::read_request request;
  request.from = log->log_start();
  while (request.from < log->high_watermark()) {
    const auto got = co_await store.read(*log, request);
    if (!got) co_return all;
    std::deque<slice> batches;
    const auto cut = cut_into_batches(got->records, batches);
    MR_ASSERT(cut);
    for (const slice& batch : batches) {
      record_block block;
      const auto filled = block.fill(batch);
      MR_ASSERT(filled);
      for (const millrace_record& r : block.from(request.from.value(), true)) {
        std::string headers;
        for (uint32_t h = 0; h < r.header_count; ++h) {
          const std::string name = text(r.headers[h].key);
          if (name != "millrace.partition" && name != "millrace.offset") headers += text(r.headers[h].value);
        }
        all.push_back({text(r.key), text(r.value), r.timestamp_ms, headers});
      }
    }
    request.from = got->next;
  }
  co_return all;
}

}  // namespace millrace::processors::kit
