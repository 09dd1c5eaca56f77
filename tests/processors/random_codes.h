// random_codes: the processors that random topologies are made of. Those of the SDK's stream level are in
// stream_codes.h.
#pragma once

#include <memory>
#include <millrace/table.h>
#include <string>
#include <string_view>

#include "base/checksum.h"
#include "tests/processors/guest_kit.h"
#include "tests/processors/stateful_kit.h"
#include "tests/processors/stream_codes.h"

namespace millrace::processors::kit {

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

// What topologies are made of.
inline const code_list& all_codes() {
  static const code_list all{code_of<appender_traits>(),
                             code_of<forker_traits>(),
                             code_of<tally_traits>(),
                             code_of<scatterer_traits>(),
                             code_of<windows_traits>(),
                             code_of_steps<windowed_sums, windowed_sums_names>(),
                             code_of_steps<joined, joined_names>(),
                             code_of<weaver_traits>(),
                             code_of_steps<across, across_names>(),
                             staged_code()};
  return all;
}
// Those of them that a topology may begin with: one input, so that there is something to replay, and one
// stage.
inline const code_list& first_codes() {
  static const code_list first = [] {
    code_list codes = all_codes();
    std::erase_if(codes, [](const std::shared_ptr<const plugin>& code) {
      return code->inputs().size() > 1 || !code->further_stages().empty();
    });
    return codes;
  }();
  return first;
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

}  // namespace millrace::processors::kit
