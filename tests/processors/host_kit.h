// host_kit: a store on a simulated disk with processors at work, and the model they are compared with.
#pragma once

#include <deque>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <millrace/processor.h>
#include <string>
#include <vector>

#include "processors/host/record_block.h"
#include "processors/host/shard_host.h"
#include "protocol/batch_builder.h"
#include "protocol/batch_check.h"
#include "runtime/fs.h"
#include "runtime/reactor.h"
#include "runtime/sim/world.h"
#include "storage/shard_store.h"
#include "tests/processors/processor_kit.h"

namespace millrace::processors::kit {

using runtime::task;

inline void expect_ok(const result<void>& r) {
  ASSERT_TRUE(r) << to_string(r.error());
}

// ---- The processors of the tests --------------------------------------------------------------------------
// Records hold numbers. `sorter` sends multiples of three to `threes` (those of nine twice, the second time
// with a header) and the others to `rest`, except multiples of eleven, which vanish; `marker`, behind it on
// `rest`, puts "m" in front.

class sorter {
 public:
  explicit sorter(const millrace::setup& setup)
      : threes_(setup.output("threes")), rest_(setup.output("rest")), poison_(setup.number("poison", -1)) {}
  void process(const millrace::record& record, millrace::context& context) {
    const int64_t n = std::stoll(std::string(record.value().value()));
    if (n == poison_) {
      context.emit(threes_, record.key(), "never to be seen");
      throw millrace::failure("poison");
    }
    if (n % 11 == 0) return;
    if (n % 3 != 0) return context.emit(rest_, record);
    context.emit(threes_, record);
    if (n % 9 == 0) context.emit(threes_, millrace::emission(record).header("again", "yes"));
  }

 private:
  millrace::output threes_;
  millrace::output rest_;
  int64_t poison_;
};

class marker {
 public:
  explicit marker(const millrace::setup& setup) : out_(setup.output("marked")) {}
  void process(const millrace::record& record, millrace::context& context) {
    context.emit(out_, record.key(), "m" + std::string(record.value().value()));
  }

 private:
  millrace::output out_;
};

// Emits each record `times` times, `bytes` bytes long.
class inflater {
 public:
  explicit inflater(const millrace::setup& setup)
      : out_(setup.output("large")),
        times_(setup.number("times", 1)),
        padding_(static_cast<size_t>(setup.number("bytes", 1000)), '.') {}
  void process(const millrace::record& record, millrace::context& context) {
    for (int64_t i = 0; i < times_; ++i) context.emit(out_, record.value(), padding_);
  }

 private:
  millrace::output out_;
  int64_t times_;
  std::string padding_;
};

struct sorter_traits {
  using type = sorter;
  static constexpr millrace::definition shape =
      millrace::define("sorter", "1").output("threes").output("rest");
};
struct marker_traits {
  using type = marker;
  static constexpr millrace::definition shape = millrace::define("marker", "1").output("marked");
};
struct inflater_traits {
  using type = inflater;
  static constexpr millrace::definition shape = millrace::define("inflater", "1").output("large");
};

template <class Traits>
std::shared_ptr<const plugin> code_of() {
  return plugin::wrap(millrace::processor_adapter<Traits>::table()).value();
}

// sorter on `in`, marker on `in.rest`; every topic's name is its input's with the output behind a dot.
inline deployment sorting_deployment(std::map<std::string, std::string> options = {},
                                     error_policy on_error = {}, start_position start = {}) {
  const auto sorter_code = code_of<sorter_traits>();
  const auto marker_code = code_of<marker_traits>();
  std::vector<processor_spec> specs{spec_for(*sorter_code, "sorter", "in", std::move(options)),
                                    spec_for(*marker_code, "marker", "in.rest")};
  for (processor_spec& s : specs) {
    s.on_error = on_error;
    s.start = start;
  }
  return deployment::assemble(specs, {sorter_code, marker_code}).value();
}

inline const std::vector<std::string> sorting_topics{"in", "in.threes", "in.rest", "in.rest.marked"};

// The values of a derived partition that follow from those of `in`.
inline std::vector<std::string> expected_of(const std::string& topic, const std::vector<std::string>& input) {
  std::vector<std::string> values;
  for (const std::string& value : input) {
    const int64_t n = std::stoll(value);
    if (n % 11 == 0) continue;
    if (topic == "in.threes" && n % 3 == 0) {
      values.push_back(value);
      if (n % 9 == 0) values.push_back(value + " again:yes");
    }
    if (topic == "in.rest" && n % 3 != 0) values.push_back(value);
    if (topic == "in.rest.marked" && n % 3 != 0) values.push_back("m" + value);
  }
  return values;
}

// ---- A store with partitions, as a shard has it
// ------------------------------------------------------------

inline storage::topic_partition_id id_of(const std::string& topic, int32_t partition) {
  return {processor_id("topic " + topic), partition};
}

inline storage::partition_spec partition_spec_of(const std::string& topic, int32_t partition) {
  storage::partition_spec spec;
  spec.id = id_of(topic, partition);
  spec.topic_name = topic;
  return spec;
}

inline storage::store_options small_store() {
  storage::store_options options;
  options.data_dir = "/data";
  options.wal_file_bytes_min = 256 * 1024;
  options.wal_file_bytes_max = 1024 * 1024;
  options.wal_bytes_max = 4 * 1024 * 1024;
  options.unspilled_bytes_max = 4 * 1024 * 1024;
  options.cache_bytes = 1024 * 1024;
  return options;
}

inline task<result<std::unique_ptr<storage::shard_store>>> open_store(
    storage::store_options options, std::vector<storage::partition_spec> specs) {
  const auto made = co_await runtime::fs::make_directories(options.data_dir);
  if (!made) co_return fail(made.error());
  co_return co_await storage::shard_store::open(std::move(options), std::move(specs));
}

// A produced batch of these values, keyed "k".
inline protocol::checked_batch batch_of(const std::vector<std::string>& values,
                                        protocol::batch_options options = {}) {
  protocol::batch_builder builder;
  for (size_t i = 0; i < values.size(); ++i)
    builder.add(1000 + static_cast<int64_t>(i), as_bytes("k"), as_bytes(values[i]));
  protocol::batch_rules rules;
  rules.now_ms = 1'700'000'000'000;
  return protocol::check_produced_batch(builder.build(options), rules).value();
}

// Calls visit(batch, next) with each stored batch below the high watermark; records of it before `next` are
// behind what was asked for. The error is that of reading, say of a disk that is gone.
template <class Visit>
task<result<void>> each_batch(storage::shard_store& store, storage::topic_partition_id id, Visit visit) {
  storage::partition_log* log = store.find(id);
  MR_ASSERT(log);
  storage::read_request request;
  request.from = log->log_start();
  while (request.from < log->high_watermark()) {
    const auto got = co_await store.read(*log, request);
    if (!got) co_return fail(got.error());
    std::deque<slice> batches;
    const auto cut = cut_into_batches(got->records, batches);
    MR_ASSERT(cut);
    for (const slice& batch : batches) visit(batch, request.from.value());
    request.from = got->next;
  }
  co_return result<void>();
}

// Calls visit(record) with each record below the high watermark, in order.
template <class Visit>
task<result<void>> each_record(storage::shard_store& store, storage::topic_partition_id id, Visit visit) {
  record_block block;
  const auto of_batch = [&block, &visit](const slice& batch, int64_t next) {
    const auto filled = block.fill(batch);
    MR_ASSERT(filled);
    for (const millrace_record& r : block.from(next, true)) visit(r);
  };
  co_return co_await each_batch(store, id, of_batch);
}

// A record as clients see it. Of its headers the values, but not those that say where a dead letter is from.
struct seen_record {
  std::string key;
  std::string value;
  int64_t timestamp_ms = 0;
  std::string headers;

  bool operator==(const seen_record&) const = default;
};

// All records below the high watermark; some of them if the disk is gone.
inline task<std::vector<seen_record>> read_records(storage::shard_store& store,
                                                   storage::topic_partition_id id) {
  std::vector<seen_record> all;
  const auto take = [&all](const millrace_record& r) {
    std::string headers;
    for (uint32_t h = 0; h < r.header_count; ++h) {
      const std::string name = text(r.headers[h].key);
      if (name != "millrace.partition" && name != "millrace.offset") headers += text(r.headers[h].value);
    }
    all.push_back({text(r.key), text(r.value), r.timestamp_ms, headers});
  };
  static_cast<void>(co_await each_record(store, id, take));
  co_return all;
}

// All values below the high watermark, each with its headers behind it.
inline task<result<std::vector<std::string>>> read_all(storage::shard_store& store,
                                                       storage::topic_partition_id id) {
  std::vector<std::string> values;
  int64_t next = store.find(id)->log_start().value();
  const auto take = [&](const millrace_record& r) {
    MR_ASSERT(r.offset == next);
    ++next;
    std::string value = text(r.value);
    for (uint32_t h = 0; h < r.header_count; ++h)
      value += " " + text(r.headers[h].key) + ":" + text(r.headers[h].value);
    values.push_back(std::move(value));
  };
  const auto done = co_await each_record(store, id, take);
  if (!done) co_return fail(done.error());
  co_return values;
}

// Waits until every flow runs, or is paused, and everything is durable; or until the store is read-only, or
// `is_over` says that others may be, which what is sent to them would wait for.
inline task<void> settled(
    const shard_host& host, storage::shard_store& store,
    std::function<bool()> is_over = [] { return false; }) {
  std::string who;
  for (int rounds = 0; rounds < 100'000; ++rounds) {
    who.clear();
    for (const flow_status& s : host.status()) {
      const bool is_at_rest =
          s.state == flow_state::paused || s.state == flow_state::running || s.state == flow_state::finished;
      if (!is_at_rest || (s.state != flow_state::paused && s.outbox_bytes > 0))
        who += fmt::format(" {}-{} is {}, {} records behind, {} bytes on their way;", s.processor,
                           s.partition, name_of(s.state), s.lag, s.outbox_bytes);
    }
    store.for_each([&](storage::partition_log& log) {
      if (log.high_watermark() != log.log_end()) who += " some records are not durable;";
    });
    if (who.empty() || store.read_only_reason() || is_over()) co_return;
    co_await runtime::reactor::current().sleep(std::chrono::milliseconds(1));
  }
  ADD_FAILURE() << "flows do not settle:" << who;
}

}  // namespace millrace::processors::kit
