// topology: random chains and trees of processors, and what they must make of their input.
//
// The oracle is the SDK's harness: another host, which knows neither frames nor crashes, runs the same
// processors over the same records from the beginning, one topic after another. What it gets is a
// failure-free run's result.
#pragma once

#include <millrace/harness.h>

#include "base/checksum.h"
#include "base/prng.h"
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
  explicit scatterer(const millrace::setup& setup)
      : out_(setup.output("out")),
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

// What a topology begins with.
inline const code_list& all_codes() {
  static const code_list all{code_of<appender_traits>(),
                             code_of<forker_traits>(),
                             code_of<tally_traits>(),
                             code_of<scatterer_traits>(),
                             code_of<windows_traits>(),
                             code_of_steps<windowed_counts, windowed_counts_names>(),
                             code_of_steps<joined, joined_names>()};
  return all;
}
// And what may run later.
inline const code_list& known_codes() {
  static const code_list known = [] {
    code_list codes = all_codes();
    codes.push_back(code_of<next_tally_traits>());
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

// What follows from a topic partition by partition.
inline std::vector<std::string> derived_beside(const topology& t, const std::string& root) {
  std::vector<std::string> found{root};
  for (size_t i = 0; i < found.size(); ++i)
    for (const processor_spec& spec : t.deployed->specs())
      if (spec.input == found[i])
        for (const std::string& next : topics_beside(spec)) found.push_back(next);
  found.erase(found.begin());
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

inline topology random_topology(prng& random) {
  topology t;
  const bool has_processes = random.below(12) == 0;  // which take real time to start
  t.sources = {"s0"};
  if (random.below(3) == 0) t.sources.push_back("s1");
  std::vector<std::string> inputs = t.sources;
  const uint64_t count = 1 + random.below(6);
  for (uint64_t i = 0; i < count; ++i) {
    std::shared_ptr<const plugin> code = all_codes()[static_cast<size_t>(random.below(all_codes().size()))];
    // Of the newest topics more often than of the others, for the sake of chains.
    const std::string input =
        random.below(2) == 0 ? inputs.back() : inputs[static_cast<size_t>(random.below(inputs.size()))];
    processor_spec spec =
        spec_for(*code, "p" + std::to_string(i), input, {{"salt", std::to_string(random.below(100))}});
    spec.outputs.clear();
    for (const std::string& output : code->outputs()) spec.outputs[output] = spec.name + "." + output;
    if (code->name() == "scatterer") {
      spec.partition_by["out"] = random.below(2) == 0 ? partitioning::key : partitioning::processor;
      if (spec.partition_by["out"] == partitioning::processor) spec.options["choice"] = "its own";
    }
    if (random.below(4) == 0) spec.outbox_bytes_max = 64 * 1024;
    spec.on_error = error_policy::skip;
    if (random.below(2) == 0) {
      spec.on_error = error_policy::dead_letter;
      spec.dead_letter = spec.name + ".dead";
    }
    spec.retries = random.below(4) == 0 ? 1 : 0;
    spec.retry_backoff_ms = 1;
    if (random.below(3) == 0) spec.isolated = isolation::thread;
    if (has_processes && random.below(2) == 0) {
      spec.isolated = isolation::process;
      code = elsewhere(code);
    }
    spec.output_compression = random.below(3) == 0 ? protocol::codec::lz4 : protocol::codec::none;
    for (const auto& [output, topic] : spec.outputs) inputs.push_back(topic);
    t.specs.push_back(spec);
    t.codes.push_back(code);
  }
  t.deployed = std::make_shared<const deployment>(deployment::assemble(t.specs, t.codes).value());
  t.roots = t.sources;
  for (const std::string& source : t.sources) t.partitions[source] = 4;
  for (const deployed_ptr& deployed : t.deployed->processors()) {
    const deployed_processor& p = *deployed;
    add_topics(t, p, [&](const std::string&) { return static_cast<int32_t>(1 + random.below(5)); });
  }
  const size_t replayed = static_cast<size_t>(random.below(t.specs.size()));
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
  const size_t shadowed = static_cast<size_t>(random.below(t.specs.size()));
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

// Everything that follows, up to where it goes to other partitions, from the records of one partition.
struct implied {
  std::map<std::string, std::vector<seen_record>> records;                  // by topic
  std::map<std::string, std::map<std::string, std::string>> stores;         // by changelog
  std::map<std::string, std::map<int32_t, std::vector<seen_record>>> sent;  // by topic and partition
};

inline implied failure_free(const topology& t, std::map<std::string, std::vector<seen_record>> sources,
                            int32_t partition, uint64_t seed) {
  implied all;
  all.records = std::move(sources);
  for (const deployed_ptr& deployed : t.deployed->processors()) {
    const deployed_processor& p = *deployed;
    if (p.spec.is_shadow) continue;  // is compared with its processor
    millrace::harness h(&code_like(known_codes(), identity_of(*p.code))->table(),
                        {p.spec.options.begin(), p.spec.options.end()}, partition, shown_name(p.spec),
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
    for (const seen_record& r : read) input.push_back({r.key, r.value, r.timestamp_ms, {}});
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
        seen_record r = read[static_cast<size_t>(f.offset) - first];
        r.headers += shown_name(p.spec) + f.why + p.spec.input;
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
