// Processors with several inputs: whose records come when, and what is kept of it.
#include "tests/processors/host_bench.h"

namespace millrace::processors {
namespace {

using namespace kit;

// Tells which input each record is from; "poison" fails.
class teller {
 public:
  explicit teller(const millrace::setup& setup) : left_(setup.input("left")), out_(setup.output("out")) {}
  void process(const millrace::record& record, millrace::context& context) {
    const std::string value(record.value().value());
    context.emit(out_, record.key(), (record.is_from(left_) ? "l" : "r") + value);
    if (value == "poison") throw millrace::failure("poison");
  }

 private:
  millrace::input left_;
  millrace::output out_;
};
struct teller_traits {
  using type = teller;
  static constexpr millrace::definition shape = millrace::define("teller", "1")
                                                    .input("left")
                                                    .input("right")
                                                    .output("out")
                                                    .store("unused")
                                                    .state_version(1);
};

processor_spec teller_spec() {
  processor_spec spec = spec_for(*code_of<teller_traits>(), "t", "a");
  spec.inputs = {{"left", "a"}, {"right", "b"}};
  spec.outputs["out"] = "out";
  return spec;
}
deployment telling(processor_spec spec = teller_spec()) {
  return deployment::assemble({std::move(spec)}, {code_of<teller_traits>()}).value();
}
const std::vector<std::string> all_topics{"a",      "b", "out", "t-unused-changelog", "t-meta-changelog",
                                          "t-order"};

// Appends one batch with a record for each of these moments, whose value it is.
lsn produce_at(bench& b, const std::string& topic, const std::vector<int64_t>& moments) {
  protocol::batch_builder builder;
  for (const int64_t at : moments) builder.add(at, as_bytes("k"), as_bytes(std::to_string(at)));
  const auto batch = protocol::check_produced_batch(builder.build({}), {.now_ms = 1'700'000'000'000}).value();
  return b.store->append(b.log(topic), batch, storage::append_origin::client).value().durable_at;
}

std::string refusal(const processor_spec& spec) {
  const auto made = deployment::assemble({spec}, {code_of<teller_traits>()});
  return made ? "none" : made.error().message;
}

using inputs_test = host_test;

TEST_F(inputs_test, are_mapped_one_for_one) {
  processor_spec spec = teller_spec();
  EXPECT_EQ(refusal(spec), "none");
  spec.inputs.erase("right");
  EXPECT_EQ(refusal(spec), "processor t: its input right has no topic (inputs.right = \"...\")");
  spec.inputs.clear();
  EXPECT_EQ(refusal(spec),
            "processor t: it has the inputs left, right; each needs a topic (inputs.left = \"...\")");
  spec = teller_spec();
  spec.inputs["middle"] = "c";
  EXPECT_EQ(refusal(spec), "processor t: it has no input middle; it has left, right");
  spec = teller_spec();
  spec.inputs["right"] = "a";
  EXPECT_EQ(refusal(spec), "processor t: two of its inputs are one topic");
  spec = teller_spec();
  spec.outputs["out"] = "b";
  EXPECT_EQ(refusal(spec), "processor t: output out is its own input b, which would never end");
  spec = teller_spec();
  spec.start = {start_position::kind::offset, 3};
  EXPECT_EQ(refusal(spec), "processor t: start = 3: with several inputs an offset says nothing; a time does");
  spec = spec_for(*code_of<marker_traits>(), "m", "a");
  spec.inputs = {{"left", "a"}, {"right", "b"}};
  EXPECT_EQ(deployment::assemble({spec}, {code_of<marker_traits>()}).error().message,
            "processor m: it has one input, without a name (input = \"...\")");
}

TEST_F(inputs_test, topics_that_are_processed_together_are_one_flow) {
  const std::vector<processor_spec> specs = telling().specs();
  for (const std::string& topic : all_topics) EXPECT_EQ(flow_of(specs, topic), "a");
  EXPECT_EQ(derived_topics(specs, "b"), (values{"out", "t-unused-changelog", "t-meta-changelog", "t-order"}));
}

TEST_F(inputs_test, batches_are_taken_as_they_arrive) {
  live(all_topics, telling(), [](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    produce_at(b, "a", {5, 6});
    produce_at(b, "b", {1});
    const lsn frame = produce_at(b, "a", {2});
    EXPECT_EQ(b.store->open_lsn(b.log("out")), frame);
    EXPECT_EQ(b.log("out").log_end().value(), 4);
    EXPECT_EQ(b.status("t").state, flow_state::running);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "out"), (values{"l5", "l6", "r1", "l2"}));
    EXPECT_EQ(co_await all_of(b, "t-order"), (values{"0 2", "0 1", "2 3"}));
    const flow_status s = b.status("t");
    EXPECT_EQ(b.host->status().size(), 1u);
    EXPECT_EQ(s.inputs.size(), 2u);
    EXPECT_EQ(s.inputs[0].topic, "a");
    EXPECT_EQ(s.inputs[0].cursor, 3);
    EXPECT_EQ(s.inputs[1].cursor, 1);
  });
}

TEST_F(inputs_test, whoever_is_behind_takes_the_oldest_record_first) {
  live(all_topics, {}, [](bench& b) -> task<void> {
    b.host->start();
    produce_at(b, "a", {10, 20, 21, 50});
    produce_at(b, "b", {5, 20, 30});
    produce_at(b, "b", {40, 60, 15});
    const auto durable = co_await b.store->wait_durable(produce_at(b, "a", {55}));
    EXPECT_TRUE(durable);
  });
  const values expected{"r5", "l10", "l20", "r20", "l21", "r30", "r40", "l50", "l55", "r60", "r15"};
  const auto before = disk_->after_kill(1);
  for (const isolation how : {isolation::none, isolation::thread}) {
    disk_ = before->after_kill(1);
    processor_spec spec = teller_spec();
    spec.isolated = how;
    live(all_topics, telling(spec), [&](bench& b) -> task<void> {
      b.host->start();
      co_await settled(*b.host, *b.store);
      EXPECT_EQ(co_await all_of(b, "out"), expected);
    });
    // Nothing is processed twice, and what comes now is taken.
    live(all_topics, telling(spec), [&](bench& b) -> task<void> {
      b.host->start();
      co_await settled(*b.host, *b.store);
      EXPECT_EQ(b.status("t").counters.records_in, 0u);
      produce_at(b, "b", {1});
      co_await settled(*b.host, *b.store);
      values more = expected;
      more.push_back("r1");
      EXPECT_EQ(co_await all_of(b, "out"), more);
    });
  }
}

// Wherever batches begin and end.
TEST_F(inputs_test, of_equally_old_records_those_of_the_first_input_come_first) {
  using batches = std::vector<std::vector<int64_t>>;
  const batches whole{{5, 7, 7, 9, 9}};
  const batches cut{{5}, {7}, {7, 9}, {9}};
  const values expected{"l5", "r5", "l7", "l7", "r7", "r7", "l9", "l9", "r9", "r9"};
  for (const batches& left : {whole, cut})
    for (const batches& right : {whole, cut}) {
      disk_ = std::make_shared<runtime::sim_disk>(1);
      live(all_topics, {}, [&](bench& b) -> task<void> {
        b.host->start();
        lsn last;
        for (const auto& batch : left) last = produce_at(b, "a", batch);
        for (const auto& batch : right) last = produce_at(b, "b", batch);
        const auto durable = co_await b.store->wait_durable(last);
        EXPECT_TRUE(durable);
      });
      live(all_topics, telling(), [&](bench& b) -> task<void> {
        b.host->start();
        co_await settled(*b.host, *b.store);
        EXPECT_EQ(co_await all_of(b, "out"), expected);
      });
    }
}

TEST_F(inputs_test, it_waits_for_all_of_them_and_starts_where_it_is_told) {
  live({"a", "out", "t-unused-changelog", "t-meta-changelog", "t-order"}, telling(),
       [](bench& b) -> task<void> {
         b.host->start();
         const auto durable = co_await b.store->wait_durable(produce_at(b, "a", {1, 2, 3}));
         EXPECT_TRUE(durable);
         EXPECT_TRUE(b.host->status().empty());
       });
  const auto before = disk_->after_kill(1);
  const std::vector<std::pair<start_position, values>> cases{
      {start_position::earliest, {"l1", "l2", "l3", "r9"}},
      {start_position::latest, {"r9"}},
      {{start_position::kind::time, 2}, {"l2", "l3", "r9"}}};
  for (const auto& [start, expected] : cases) {
    disk_ = before->after_kill(1);
    processor_spec spec = teller_spec();
    spec.start = start;
    live(all_topics, telling(spec), [&](bench& b) -> task<void> {
      b.host->start();
      co_await settled(*b.host, *b.store);
      produce_at(b, "b", {9});
      co_await settled(*b.host, *b.store);
      EXPECT_EQ(co_await all_of(b, "out"), expected);
    });
  }
}

TEST_F(inputs_test, a_failed_record_is_told_with_its_topic) {
  processor_spec spec = teller_spec();
  spec.on_error = error_policy::dead_letter;
  spec.dead_letter = "dead";
  std::vector<std::string> topics = all_topics;
  topics.push_back("dead");
  live(topics, telling(spec), [](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    b.produce("a", {"1"});
    b.produce("b", {"2", "poison", "3"});
    b.produce("a", {"4"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "out"), (values{"l1", "r2", "r3", "l4"}));
    EXPECT_EQ(co_await all_of(b, "t-order"), (values{"0 1", "0 1", "1 2", "2 3", "1 2"}));
    const values dead = co_await all_of(b, "dead");
    EXPECT_EQ(
        dead,
        (values{"poison millrace.processor:t millrace.reason:poison millrace.topic:b millrace.partition:0 "
                "millrace.offset:1"}));
  });
}

TEST_F(inputs_test, a_deleted_input_ends_it_and_another_topic_of_that_name_is_not_the_same) {
  live(all_topics, telling(), [](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    produce_at(b, "a", {1});
    produce_at(b, "b", {2});
    co_await settled(*b.host, *b.store);
    b.host->partition_removed(id_of("b", 0));
    EXPECT_TRUE(b.host->status().empty());
    produce_at(b, "a", {3});
    EXPECT_EQ(b.log("out").log_end().value(), 2);
    EXPECT_FALSE(b.host->needed_from(id_of("a", 0)));
    EXPECT_TRUE(b.store->cursors().empty() || std::ranges::none_of(b.store->cursors(), [](const auto& c) {
                  return c.first.processor == processor_id("t");
                }));
  });
}

class two_topics final : public neighbours {
 public:
  std::optional<output_topic> find(const std::string& topic) const override {
    return output_topic{id_of(topic, 0).topic, topic == "b" ? 3 : 2, 0, storage::durability::sync};
  }
  uint32_t shard_count() const override { return 1; }
  inbox* here() const override { return nullptr; }
};

TEST_F(inputs_test, with_different_partitions_it_does_not_start) {
  const two_topics others;
  host_.others = &others;
  live(all_topics, telling(), [](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("t").state, flow_state::paused);
    EXPECT_EQ(b.status("t").why_paused,
              "its inputs a and b have 2 and 3 partitions; with as many in both, records of one key meet");
  });
}

}  // namespace
}  // namespace millrace::processors
