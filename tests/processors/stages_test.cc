// Processors of several stages, on one shard of a simulated machine: how they are deployed, and that records
// reach each stage by their keys, in their own time. That it holds through crashes is what topology_test
// shows.
#include "processors/host/stages.h"

#include <millrace/partition.h>
#include <millrace/stream.h>

#include "tests/processors/host_bench.h"
#include "tests/processors/stream_codes.h"

namespace millrace::processors {
namespace {

using namespace kit;
using namespace std::chrono_literals;

constexpr int32_t between_partitions = 3;

// Records "letter..." are counted by their letters in windows of 100 ms.
void letters(millrace::topology& t) {
  t.from<std::optional<millrace::raw>, std::string>("in")
      .select_key([](const auto&, const std::string& value) { return value.substr(0, 1); })
      .through("letter")
      .group_by_key()
      .window(millrace::tumbling(100ms))
      .count("counts")
      .map([](const auto& key, int64_t count) { return std::pair(key.key, std::to_string(count)); })
      .to("out");
}
struct letters_names {
  static const char* name() { return "letters"; }
  static const char* version() { return "1"; }
};
std::shared_ptr<const plugin> letters_code() {
  return code_of_steps<letters, letters_names>();
}
processor_spec letters_spec() {
  processor_spec spec;
  spec.name = "p";
  spec.library = "linked in";
  spec.input = "in";
  spec.outputs = {{"out", "out"}};
  return spec;
}
result<deployment> deployed(processor_spec spec) {
  return deployment::assemble({std::move(spec)}, {letters_code()});
}
std::string refusal(processor_spec spec) {
  const auto made = deployed(std::move(spec));
  return made ? "none" : made.error().message;
}

TEST(stages_test, each_stage_is_deployed_with_what_is_its_own) {
  processor_spec spec = letters_spec();
  spec.start = start_position::latest;
  const deployment what = deployed(spec).value();
  ASSERT_EQ(what.processors().size(), 2u);
  const deployed_processor& first = *what.processors()[0];
  const deployed_processor& second = *what.processors()[1];
  EXPECT_EQ(first.spec.name, "p");
  EXPECT_EQ(first.spec.stage_of, "");
  EXPECT_EQ(first.input_topics, std::vector<std::string>{"in"});
  EXPECT_EQ(first.output_topics, std::vector<std::string>{"p-letter-repartition"});
  EXPECT_EQ(first.target_topics(), std::vector<std::string>{"p-letter-outbox"});
  EXPECT_EQ(first.spec.start, start_position::latest);
  EXPECT_FALSE(first.memory);
  EXPECT_EQ(second.spec.name, "p.stage1");
  EXPECT_EQ(second.spec.stage_of, "p");
  EXPECT_EQ(second.input_topics, std::vector<std::string>{"p-letter-repartition"});
  EXPECT_EQ(second.output_topics, std::vector<std::string>{"out"});
  EXPECT_EQ(second.spec.start, start_position::earliest);
  EXPECT_EQ(second.spec.changelogs,
            (std::vector<std::string>{"p.stage1-counts-changelog", "p.stage1-meta-changelog"}));
  EXPECT_TRUE(second.memory);
  EXPECT_NE(first.id, second.id);
  EXPECT_EQ(what.stages_of("p").size(), 2u);
  EXPECT_TRUE(what.stages_of("p.stage1").empty());
}

TEST(stages_test, they_come_change_and_go_together) {
  const deployment what = deployed(letters_spec()).value();
  const deployment held = what.changed("p", [](deployed_processor& stage) { stage.is_held = true; });
  for (const deployed_ptr& p : held.processors()) EXPECT_TRUE(p->is_held);
  for (const deployed_ptr& p : what.processors()) EXPECT_FALSE(p->is_held);
  const deployment again = held.with(deployment::prepare(letters_spec(), letters_code()).value()).value();
  ASSERT_EQ(again.processors().size(), 2u);
  EXPECT_EQ(again.processors()[1]->memory, what.processors()[1]->memory);
  EXPECT_TRUE(again.without("p").empty());
}

TEST(stages_test, what_does_not_fit_is_said) {
  processor_spec spec = letters_spec();
  spec.outputs["letter"] = "mine";
  EXPECT_EQ(refusal(spec),
            "processor p: letter lies between its stages, and has a topic of its own, p-letter-repartition");
  spec = letters_spec();
  spec.outputs["other"] = "mine";
  EXPECT_EQ(refusal(spec), "processor p: it has no output other; it has out");
  spec = letters_spec();
  spec.inputs = {{"left", "in"}};
  EXPECT_EQ(refusal(spec), "processor p: it has no input left; it has one without a name (input = \"...\")");
  spec = letters_spec();
  spec.isolated = isolation::process;
  EXPECT_EQ(refusal(spec),
            "processor p: it has several stages: isolation = \"inline\" or \"thread\" are possible");
  spec = letters_spec();
  spec.stands_for = "other";
  EXPECT_EQ(refusal(spec),
            "processor other has several stages: replays and shadows are of processors with one");
  spec = letters_spec();
  spec.name = std::string(245, 'n');
  EXPECT_NE(refusal(spec).find("too long"), std::string::npos) << refusal(spec);
}

TEST(stages_test, nobody_else_writes_between_them) {
  processor_spec other = spec_for(*code_of<marker_traits>(), "m", "elsewhere");
  for (auto& [output, topic] : other.outputs) topic = "p-letter-repartition";
  const auto made = deployment::assemble({letters_spec(), other}, {letters_code(), code_of<marker_traits>()});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message,
            "processor m: topic p-letter-repartition is the repartition topic of processor p");
}

TEST(stages_test, tables_that_cannot_be_are_refused) {
  const auto code = letters_code();
  const millrace_processor& right = code->table();
  const auto refused = [](const millrace_processor& first, const std::vector<millrace_processor>& further) {
    std::vector<const millrace_processor*> all;
    for (const millrace_processor& one : further) all.push_back(&one);
    millrace_processor table = first;
    table.further_stage_count = static_cast<uint32_t>(all.size());
    table.further_stages = all.data();
    const auto made = plugin::wrap(&table);
    return made ? "none" : made.error().message;
  };
  const millrace_processor second = *right.further_stages[0];
  EXPECT_EQ(refused(right, {second}), "none");
  EXPECT_EQ(refused(right, {second, second}), "its stages 1 and 2 both read letter");
  EXPECT_EQ(refused(right, std::vector<millrace_processor>(8, second)),
            "it declares 8 further stages; up to 7 are possible");
  millrace_processor nested = right;
  EXPECT_EQ(refused(right, {nested}), "its stage 1 has stages of its own");
  millrace_processor unread = second;
  unread.input_count = 0;
  EXPECT_EQ(refused(right, {unread}), "its stage 1 reads nothing that an earlier one writes");
  millrace_processor circle = second;
  circle.outputs = circle.inputs;
  EXPECT_EQ(refused(right, {circle}), "its stage 1 reads letter, which stage 1 writes");
  millrace_processor broken = second;
  broken.process = nullptr;
  EXPECT_EQ(refused(right, {broken}), "its stage 1: its table lacks create, destroy or process");
}

class staged_test : public testing::Test, protected neighbours {
 protected:
  std::optional<output_topic> find(const std::string& topic) const override {
    if (topic != "p-letter-repartition") return std::nullopt;
    return output_topic{id_of(topic, 0).topic, between_partitions, 0, storage::durability::sync};
  }
  uint32_t shard_count() const override { return 1; }
  inbox* here() const override { return &bench_.host->incoming(); }

  // One life of a shard with two partitions of `in` and three of what lies behind it.
  void live(std::function<task<void>()> body) {
    runtime::sim_world world(7, {.shards = 1, .disk = disk_});
    world.run(life(std::move(body)));
    disk_ = disk_->after_power_cut(8);
  }
  task<void> life(std::function<task<void>()> body) {
    std::vector<storage::partition_spec> specs;
    for (int32_t p = 0; p < 2; ++p)
      for (const char* topic : {"in", "p-letter-outbox"}) specs.push_back(partition_spec_of(topic, p));
    for (int32_t p = 0; p < between_partitions; ++p)
      for (const char* topic :
           {"p-letter-repartition", "out", "p.stage1-counts-changelog", "p.stage1-meta-changelog"})
        specs.push_back(partition_spec_of(topic, p));
    const deployment what = deployed(letters_spec()).value();
    host_options options;
    options.others = this;
    options.repartition_trim_after_bytes = trim_after_bytes_;
    co_await open(bench_, std::move(specs), what, small_store(), options);
    bench_.host->start();
    co_await body();
    co_await close(bench_);
  }
  void produce(int32_t partition, const std::vector<std::pair<int64_t, std::string>>& records) {
    protocol::batch_builder builder;
    for (const auto& [at, value] : records) builder.add(at, as_bytes("k"), as_bytes(value));
    const auto batch =
        protocol::check_produced_batch(builder.build({}), {.now_ms = 1'700'000'000'000}).value();
    const auto done = bench_.store->append(*bench_.store->find(id_of("in", partition)), batch,
                                           storage::append_origin::client);
    MR_ASSERT(done);
  }
  // What the partition of a letter holds of results.
  task<std::vector<std::string>> counts_of(std::string letter) {
    const int32_t partition = millrace::partition_for_key(letter, between_partitions);
    auto all = co_await read_all(*bench_.store, id_of("out", partition));
    EXPECT_TRUE(all);
    co_return all ? *all : std::vector<std::string>{};
  }

  std::shared_ptr<runtime::sim_disk> disk_ = std::make_shared<runtime::sim_disk>(1);
  bench bench_;
  uint64_t trim_after_bytes_ = UINT64_MAX;
};

TEST_F(staged_test, records_of_a_key_meet_whichever_partition_they_come_from) {
  live([this]() -> task<void> {
    produce(0, {{1000, "a1"}, {1010, "a2"}});
    co_await settled(*bench_.host, *bench_.store);
    produce(1, {{1020, "a3"}});
    co_await settled(*bench_.host, *bench_.store);
    EXPECT_EQ(co_await counts_of("a"), (std::vector<std::string>{"1", "2", "3"}));
  });
  // State, position and what was on its way outlive the power.
  live([this]() -> task<void> {
    produce(1, {{1030, "a4"}});
    co_await settled(*bench_.host, *bench_.store);
    EXPECT_EQ(co_await counts_of("a"), (std::vector<std::string>{"1", "2", "3", "4"}));
  });
}

TEST_F(staged_test, what_a_stage_has_taken_is_removed_and_nothing_else) {
  trim_after_bytes_ = 1;
  const int32_t partition = millrace::partition_for_key("a", between_partitions);
  live([this, partition]() -> task<void> {
    const storage::partition_log* between = bench_.store->find(id_of("p-letter-repartition", partition));
    produce(0, {{1000, "a1"}, {1010, "a2"}});
    co_await settled(*bench_.host, *bench_.store);
    co_await runtime::reactor::current().sleep(std::chrono::milliseconds(300));
    EXPECT_EQ(between->log_start().value(), 2);
    EXPECT_EQ(between->high_watermark().value(), 2);
    // A stage that is held needs its records.
    deployment held = deployed(letters_spec()).value().changed("p", [](deployed_processor& stage) {
      stage.is_held = !stage.spec.stage_of.empty();
    });
    co_await bench_.host->adopt(std::move(held));
    produce(0, {{1020, "a3"}});
    co_await runtime::reactor::current().sleep(std::chrono::milliseconds(300));
    EXPECT_EQ(between->log_start().value(), 2);
    EXPECT_EQ(between->high_watermark().value(), 3);
  });
  live([this]() -> task<void> {
    co_await settled(*bench_.host, *bench_.store);
    EXPECT_EQ(co_await counts_of("a"), (std::vector<std::string>{"1", "2", "3"}));
  });
}

// A record that carries the time of the first stage on does not make late what is still on its way to the
// second: there, only what has arrived counts.
TEST_F(staged_test, each_stage_has_a_stream_time_of_its_own) {
  live([this]() -> task<void> {
    const std::string other = [] {  // a letter of another partition than that of "a"
      std::string found = "b";
      while (millrace::partition_for_key(found, between_partitions) ==
             millrace::partition_for_key("a", between_partitions))
        ++found[0];
      return found;
    }();
    produce(0, {{1000, "a1"}, {900'000, other}, {1010, "a2"}});
    co_await settled(*bench_.host, *bench_.store);
    EXPECT_EQ(co_await counts_of("a"), (std::vector<std::string>{"1", "2"}));
  });
}

}  // namespace
}  // namespace millrace::processors
