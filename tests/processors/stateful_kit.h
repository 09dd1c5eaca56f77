// stateful_kit: processors with state, and what they must have made of their input.
#pragma once

#include <cstdlib>
#include <map>
#include <millrace/table.h>
#include <string>
#include <utility>
#include <vector>

#include "tests/processors/host_kit.h"

namespace millrace::processors::kit {

// Records hold "key" or "key=value" texts. Counts by key, and emits "key:count" for each. The value "forget"
// removes the key, "poison" fails after having changed things. `padding` dots behind each count take room.
class counter {
 public:
  explicit counter(const millrace::setup& setup)
      : counts_(setup, "counts"),
        out_(setup.output("counts")),
        padding_(size_t(setup.number("padding", 0)), '.') {}
  void process(const millrace::record& record, millrace::context& context) {
    const std::string text(record.value().value());
    const std::string key = text.substr(0, text.find('='));
    const std::string value = text.substr(std::min(text.size(), key.size() + 1));
    const int64_t count = std::stoll(counts_.get(context, key).value_or("0")) + 1;
    counts_.put(context, key, std::to_string(count) + padding_);
    if (value == "forget") counts_.erase(context, key);
    context.emit(out_, key, key + ":" + std::to_string(count));
    context.count("processed");
    if (value == "poison") throw millrace::failure("poison");
  }

 private:
  millrace::table<std::string, std::string> counts_;
  millrace::output out_;
  std::string padding_;
};

// The counter's third version: it keeps "#5" where the others kept "5", and takes over what they have. A key
// "unfit" it cannot take over, of one "fatal" it dies, one that begins with "old" it forgets.
class hash_counter {
 public:
  explicit hash_counter(const millrace::setup& setup)
      : counts_(setup, "counts"), out_(setup.output("counts")) {}
  void process(const millrace::record& record, millrace::context& context) {
    const std::string key(record.value().value());
    const int64_t count = std::stoll(counts_.get(context, key).value_or("#0").substr(1)) + 1;
    counts_.put(context, key, "#" + std::to_string(count));
    context.emit(out_, key, key + ":" + std::to_string(count));
  }
  void migrate(const millrace::old_entry& entry, millrace::context& context) {
    if (entry.store() != "counts" || entry.from_version() > 2) throw millrace::failure("of what?");
    const auto key = entry.key_as<std::string>();
    if (key == "unfit") throw millrace::failure("unfit");
    if (key == "fatal") std::abort();
    if (key.starts_with("old")) return counts_.erase(context, key);
    counts_.put(context, key, "#" + entry.value_as<std::string>());
  }

 private:
  millrace::table<std::string, std::string> counts_;
  millrace::output out_;
};

// Counts records in windows of 100 ms by their timestamps, and emits "start:count" when the window is over.
// Late ones go to `late`.
class windows {
 public:
  static constexpr int64_t window_ms = 100;
  explicit windows(const millrace::setup& setup)
      : open_(setup, "open"),
        closed_(setup.output("closed")),
        late_(setup.output("late")),
        poison_(setup.number("poison", -1)) {}
  void process(const millrace::record& record, millrace::context& context) {
    const int64_t start = record.timestamp_ms() / window_ms * window_ms;
    if (start + window_ms <= *context.stream_time_ms()) return context.emit(late_, record);
    open_.put(context, start, open_.get(context, start).value_or(0) + 1);
    context.set_timer(start + window_ms, std::to_string(start));
  }
  void timer(const millrace::timer& due, millrace::context& context) {
    const int64_t start = std::stoll(std::string(due.key()));
    const int64_t count = open_.get(context, start).value();
    open_.erase(context, start);
    context.emit(closed_, due.key(), std::to_string(start) + ":" + std::to_string(count));
    if (start == poison_) throw millrace::failure("a window that cannot be closed");
  }

 private:
  millrace::table<millrace::ordered<int64_t>, int64_t> open_;
  millrace::output closed_;
  millrace::output late_;
  int64_t poison_;
};

struct counter_traits {
  using type = counter;
  static constexpr millrace::definition shape =
      millrace::define("counter", "1").output("counts").store("counts").state_version(1);
};
struct counter_of_next_version_traits {
  using type = counter;
  static constexpr millrace::definition shape =
      millrace::define("counter", "2").output("counts").store("counts").state_version(2);
};
struct hash_counter_traits {
  using type = hash_counter;
  static constexpr millrace::definition shape =
      millrace::define("counter", "3").output("counts").store("counts").state_version(3).migrates_from(1);
};
struct windows_traits {
  using type = windows;
  static constexpr millrace::definition shape =
      millrace::define("windows", "1").output("closed").output("late").store("open").timers();
};

// What counter makes of these values; `state` is what it has counted before, and counts on.
inline std::vector<std::string> counted(const std::vector<std::string>& input,
                                        std::map<std::string, int64_t>& state) {
  std::vector<std::string> out;
  for (const std::string& text : input) {
    const std::string key = text.substr(0, text.find('='));
    if (text.ends_with("=poison")) continue;
    out.push_back(key + ":" + std::to_string(++state[key]));
    if (text.ends_with("=forget")) state.erase(key);
  }
  return out;
}

// The same, in the form of a store's content.
inline std::map<std::string, std::string> as_texts(const std::map<std::string, int64_t>& counts) {
  std::map<std::string, std::string> texts;
  for (const auto& [key, count] : counts) texts[key] = std::to_string(count);
  return texts;
}

// A changelog folded up, as any client can read it; part of it if the disk is gone.
inline task<std::map<std::string, std::string>> fold(storage::shard_store& store,
                                                     storage::topic_partition_id id) {
  std::map<std::string, std::string> state;
  const auto take = [&state](const millrace_record& r) {
    if (r.value.size < 0)
      state.erase(text(r.key));
    else
      state[text(r.key)] = text(r.value);
  };
  static_cast<void>(co_await each_record(store, id, take));
  co_return state;
}

}  // namespace millrace::processors::kit
