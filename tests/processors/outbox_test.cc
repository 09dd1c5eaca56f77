// Outputs whose records go to other partitions, one thing at a time, on one shard of a simulated machine.
// That it holds across shards and crashes is what topology_test shows.
#include "processors/host/outbox.h"

#include <millrace/partition.h>

#include "tests/processors/host_bench.h"

namespace millrace::processors {
namespace {

using namespace kit;

constexpr int32_t target_partitions = 3;
const std::string target = "in.spread";
const std::string outbox_name = "p-spread-outbox";

// Records are texts "key=value", or "=value" without a key; "3>value" names partition 3. Each goes to
// `spread`.
class spreader {
 public:
  explicit spreader(const millrace::setup& setup) : out_(setup.output("spread")) {}
  void process(const millrace::record& record, millrace::context& context) {
    const std::string text(record.value().value());
    if (const size_t arrow = text.find('>'); arrow != std::string::npos)
      return context.emit_to(out_, std::stoi(text), record.key(),
                             text + std::to_string(context.partition_count(out_)));
    const size_t equals = text.find('=');
    millrace::emission made;
    made.value(text).header("h", "1");
    if (equals > 0) made.key(std::string_view(text).substr(0, equals));
    context.emit(out_, made);
  }

 private:
  millrace::output out_;
};
struct spreader_traits {
  using type = spreader;
  static constexpr millrace::definition shape = millrace::define("spreader", "1").output("spread");
};

// spreader on `in`, and marker on what it spreads.
deployment spreading(partitioning by, uint64_t outbox_bytes_max = 64 * 1024) {
  const auto code = code_of<spreader_traits>();
  const auto marker_code = code_of<marker_traits>();
  std::vector<processor_spec> specs{spec_for(*code, "p", "in"), spec_for(*marker_code, "m", target)};
  specs[0].partition_by["spread"] = by;
  specs[0].outbox_bytes_max = outbox_bytes_max;
  specs[0].on_error = error_policy::skip;
  return deployment::assemble(specs, {code, marker_code}).value();
}

class outbox_test : public testing::Test, protected neighbours {
 protected:
  std::optional<output_topic> find(const std::string& topic) const override {
    if (topic != target || is_deleted_) return std::nullopt;
    return output_topic{id_of(target, 0).topic, target_partitions, 0, kept_};
  }
  uint32_t shard_count() const override { return 1; }
  inbox* here() const override { return is_shut_ ? nullptr : &bench_.host->incoming(); }

  // One life of a shard with one partition of `in` and three of the target.
  void live(const deployment& what, std::function<task<void>()> body, uint64_t trim_after_bytes = 1) {
    runtime::sim_world world(7, {.shards = 1, .disk = disk_});
    world.run(life(what, std::move(body), trim_after_bytes));
    disk_ = disk_->after_power_cut(8);
  }
  task<void> life(const deployment& what, std::function<task<void>()> body, uint64_t trim_after_bytes) {
    std::vector<storage::partition_spec> specs{partition_spec_of("in", 0), partition_spec_of(outbox_name, 0)};
    for (int32_t p = 0; p < target_partitions; ++p) {
      specs.push_back(partition_spec_of(target, p));
      specs.push_back(partition_spec_of(target + ".marked", p));
    }
    host_options options;
    options.others = this;
    options.outbox_trim_after_bytes = trim_after_bytes;
    co_await open(bench_, std::move(specs), what, small_store(), options);
    bench_.host->start();
    co_await body();
    co_await close(bench_);
  }
  void produce(const std::vector<std::string>& values) {
    const auto done = bench_.store->append(*bench_.store->find(id_of("in", 0)), batch_of(values),
                                           storage::append_origin::client);
    MR_ASSERT(done);
  }
  task<std::vector<std::string>> all_of(std::string topic, int32_t partition) {
    auto all = co_await read_all(*bench_.store, id_of(topic, partition));
    EXPECT_TRUE(all);
    co_return all ? *all : std::vector<std::string>{};
  }
  flow_status status() { return bench_.status("p"); }
  task<void> sleep_a_while() { co_await runtime::reactor::current().sleep(std::chrono::milliseconds(300)); }

  std::shared_ptr<runtime::sim_disk> disk_ = std::make_shared<runtime::sim_disk>(1);
  bench bench_;
  storage::durability kept_ = storage::durability::sync;
  bool is_deleted_ = false;
  bool is_shut_ = false;
};

TEST_F(outbox_test, records_go_where_kafkas_producers_would_send_them) {
  live(spreading(partitioning::key), [this]() -> task<void> {
    std::vector<std::string> sent;
    std::map<int32_t, std::vector<std::string>> expected;
    for (int i = 0; i < 40; ++i) {
      const std::string key = std::to_string(i % 7);
      sent.push_back(i % 5 == 0 ? "=" + key : key + "=" + std::to_string(i));
      expected[i % 5 == 0 ? 0 : millrace::partition_for_key(key, target_partitions)].push_back(sent.back());
    }
    produce(sent);
    co_await settled(*bench_.host, *bench_.store);
    for (int32_t p = 0; p < target_partitions; ++p) {
      std::vector<std::string> there = expected[p];
      // What is attached behind them has seen them, too. The way is not told any more.
      std::vector<std::string> marked;
      for (std::string& value : there) {
        marked.push_back("m" + value);
        value += " h:1";
      }
      EXPECT_EQ(co_await all_of(target, p), there);
      EXPECT_EQ(co_await all_of(target + ".marked", p), marked);
    }
    // A processor that may not choose, and does, fails its record.
    produce({"1>x"});
    co_await settled(*bench_.host, *bench_.store);
    EXPECT_EQ(status().counters.records_skipped, 1u);
  });
}

TEST_F(outbox_test, a_processor_may_choose_the_partition) {
  live(spreading(partitioning::processor), [this]() -> task<void> {
    produce({"2>a", "0>b", "k=c", "3>d", "-1>e"});
    co_await settled(*bench_.host, *bench_.store);
    const int32_t by_key = millrace::partition_for_key("k", target_partitions);
    for (int32_t p = 0; p < target_partitions; ++p) {
      std::vector<std::string> expected;
      if (p == 2) expected.push_back("2>a3");
      if (p == 0) expected.push_back("0>b3");
      if (p == by_key) expected.push_back("k=c h:1");
      EXPECT_EQ(co_await all_of(target, p), expected);
    }
    EXPECT_EQ(status().counters.records_skipped, 2u);
  });
}

TEST_F(outbox_test, what_has_arrived_is_trimmed_and_what_has_not_survives) {
  const deployment what = spreading(partitioning::key);
  live(what, [this]() -> task<void> {
    const storage::partition_log* log = bench_.store->find(id_of(outbox_name, 0));
    produce({"a=1", "b=2"});
    co_await settled(*bench_.host, *bench_.store);
    co_await sleep_a_while();
    EXPECT_EQ(log->log_start().value(), 2);
    is_shut_ = true;
    produce({"a=3", "c=4"});
    co_await sleep_a_while();
    EXPECT_EQ(log->log_start().value(), 2);
    EXPECT_EQ(log->high_watermark().value(), 4);
    EXPECT_GT(status().outbox_bytes, 0u);
  });
  is_shut_ = false;
  live(what, [this]() -> task<void> {
    co_await settled(*bench_.host, *bench_.store);
    std::vector<std::string> all;
    for (int32_t p = 0; p < target_partitions; ++p)
      for (const std::string& value : co_await all_of(target, p)) all.push_back(value);
    std::ranges::sort(all);
    EXPECT_EQ(all, (std::vector<std::string>{"a=1 h:1", "a=3 h:1", "b=2 h:1", "c=4 h:1"}));
  });
}

TEST_F(outbox_test, a_full_outbox_makes_the_processor_lag_until_there_is_room) {
  live(spreading(partitioning::key), [this]() -> task<void> {
    is_shut_ = true;
    const std::string padding(1000, '.');
    int64_t sent = 0;
    for (int batch = 0; batch < 20; ++batch) {
      std::vector<std::string> values;
      for (int i = 0; i < 10; ++i) values.push_back(fmt::format("k{}={}{}", i, sent++, padding));
      produce(values);
      co_await runtime::reactor::current().sleep(std::chrono::milliseconds(5));
    }
    co_await sleep_a_while();
    EXPECT_EQ(status().state, flow_state::lagging);
    EXPECT_LT(status().cursor, sent);
    EXPECT_GE(status().outbox_bytes, 64u * 1024);
    EXPECT_LT(status().outbox_bytes, 2 * 64u * 1024);
    is_shut_ = false;
    co_await settled(*bench_.host, *bench_.store);
    EXPECT_EQ(status().cursor, sent);
    int64_t there = 0;
    for (int32_t p = 0; p < target_partitions; ++p)
      there += bench_.store->find(id_of(target, p))->log_end().value();
    EXPECT_EQ(there, sent);
  });
}

TEST_F(outbox_test, what_cannot_be_kept_pauses_the_processor_with_the_reason) {
  const deployment what = spreading(partitioning::key);
  kept_ = storage::durability::os;
  live(what, [this]() -> task<void> {
    EXPECT_EQ(status().why_paused,
              "input in has durability \"sync\" and output in.spread \"os\"; they must be equal");
    co_return;
  });
  kept_ = storage::durability::sync;
  is_deleted_ = true;
  live(what, [this]() -> task<void> {
    EXPECT_EQ(status().state, flow_state::waiting);
    is_deleted_ = false;
    bench_.host->topics_changed();
    EXPECT_EQ(status().state, flow_state::running);
    produce({"a=1"});
    co_await settled(*bench_.host, *bench_.store);
    is_deleted_ = true;
    bench_.host->topics_changed();
    EXPECT_EQ(status().why_paused, "an output topic was deleted");
  });
  is_deleted_ = false;
  is_shut_ = true;
  live(what, [this]() -> task<void> {
    produce({"a=2", "a=3"});
    co_await sleep_a_while();
    const auto trimmed = co_await bench_.store->advance_log_start(id_of(outbox_name, 0), offset(3));
    EXPECT_TRUE(trimmed);
  });
  is_shut_ = false;
  live(what, [this]() -> task<void> {
    co_await sleep_a_while();
    EXPECT_EQ(status().why_paused,
              "its outbox begins at offset 3: records from 1 on were deleted before they arrived");
  });
}

}  // namespace
}  // namespace millrace::processors
