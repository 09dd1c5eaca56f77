// The edges of a processor's world: topics that go and come back, records that go before they were read,
// records of transactions, a disk without room. Each ends in a pause that says why, or goes on exactly once.
#include "protocol/record_batch.h"
#include "tests/processors/host_bench.h"
#include "tests/processors/stateful_kit.h"

namespace millrace::processors {
namespace {

using namespace kit;
using edges_test = host_test;

// Deletes a topic as the broker does, and makes another one of that name.
task<void> recreate(bench& b, const std::string& topic, const std::string& identity) {
  const storage::topic_partition_id old = id_of(topic, 0);
  b.host->partition_removed(old);
  const auto removed = co_await b.store->remove(old);
  EXPECT_TRUE(removed);
  storage::partition_spec again = partition_spec_of(topic, 0);
  again.id = id_of(identity, 0);
  const auto made = b.store->create(again);
  EXPECT_TRUE(made);
  if (made) b.host->partition_opened(**made);
}

storage::partition_log& named(bench& b, const std::string& identity) {
  return *b.store->find(id_of(identity, 0));
}

TEST_F(edges_test, an_input_made_again_pauses_until_its_outputs_are_gone_too) {
  const deployment what = sorting_deployment();
  live(sorting_topics, what, [](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"1", "3"});
    co_await settled(*b.host, *b.store);
    co_await recreate(b, "in", "in again");
    EXPECT_EQ(b.status("sorter").state, flow_state::paused);
    EXPECT_NE(b.status("sorter").why_paused.find("holds what it derived from a topic in that was deleted"),
              std::string::npos)
        << b.status("sorter").why_paused;
    EXPECT_EQ(b.status("marker").state, flow_state::running);
    const auto done = b.store->append(named(b, "in again"), batch_of({"6"}), storage::append_origin::client);
    EXPECT_TRUE(done);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.threes"), values{"3"});
  });
  // Over a restart, too; with outputs of its own the new input is processed from its beginning.
  live({"in.threes", "in.rest", "in.rest.marked"}, what, [](bench& b) -> task<void> {
    storage::partition_spec again = partition_spec_of("in", 0);
    again.id = id_of("in again", 0);
    const auto made = b.store->create(again);
    EXPECT_TRUE(made);
    if (made) {
      const auto done = b.store->append(**made, batch_of({"6", "7"}), storage::append_origin::client);
      EXPECT_TRUE(done);
    }
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("sorter").state, flow_state::paused);
  });
  live({}, what, [](bench& b) -> task<void> {
    for (const std::string& topic : sorting_topics) {
      storage::partition_spec again = partition_spec_of(topic, 0);
      again.id = id_of(topic + " again", 0);
      const auto made = b.store->create(again);
      EXPECT_TRUE(made);
      if (!made || topic != "in") continue;
      const auto done = b.store->append(**made, batch_of({"6", "7"}), storage::append_origin::client);
      EXPECT_TRUE(done);
    }
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("sorter").state, flow_state::running);
    const auto threes = co_await read_all(*b.store, id_of("in.threes again", 0));
    EXPECT_TRUE(threes && *threes == values{"6"});
    const auto marked = co_await read_all(*b.store, id_of("in.rest.marked again", 0));
    EXPECT_TRUE(marked && *marked == values{"m7"});
  });
}

TEST_F(edges_test, an_output_made_again_pauses_over_a_restart_too) {
  const deployment what = sorting_deployment();
  live(sorting_topics, what, [](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"1", "3"});
    co_await settled(*b.host, *b.store);
    co_await recreate(b, "in.threes", "in.threes again");
    EXPECT_EQ(b.status("sorter").why_paused, "an output topic was deleted");
    b.produce("in", {"6", "7"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(named(b, "in.threes again").log_end().value(), 0);
    EXPECT_EQ(co_await all_of(b, "in.rest"), values{"1"});
  });
  live({"in", "in.rest", "in.rest.marked"}, what, [](bench& b) -> task<void> {
    storage::partition_spec again = partition_spec_of("in.threes", 0);
    again.id = id_of("in.threes again", 0);
    const auto made = b.store->create(again);
    EXPECT_TRUE(made);
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("sorter").state, flow_state::paused);
    EXPECT_NE(b.status("sorter").why_paused.find("its output in.threes was deleted"), std::string::npos)
        << b.status("sorter").why_paused;
    EXPECT_EQ(named(b, "in.threes again").log_end().value(), 0);
  });
}

TEST_F(edges_test, another_output_topic_is_no_reason_to_pause) {
  const deployment before = sorting_deployment();
  live(sorting_topics, before, [](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"3"});
    co_await settled(*b.host, *b.store);
  });
  const auto code = code_of<sorter_traits>();
  processor_spec spec = spec_for(*code, "sorter", "in");
  spec.outputs["threes"] = "elsewhere";
  const deployment after = deployment::assemble({spec}, {code}).value();
  live({"in", "in.rest", "elsewhere"}, after, [](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"6"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "elsewhere"), values{"6"});
  });
}

TEST_F(edges_test, records_deleted_before_they_were_read_are_jumped_over_and_counted) {
  const deployment what = sorting_deployment({{"poison", "3"}});
  live(sorting_topics, what, [](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"1", "2"});
    b.produce("in", {"3", "4"});
    b.produce("in", {"5", "6", "7", "9"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("sorter").cursor, 2);
    const auto start = co_await b.store->advance_log_start(id_of("in", 0), offset(6));
    EXPECT_TRUE(start);
    EXPECT_EQ(b.status("sorter").state, flow_state::paused);  // its reason is another one, and stays
  });
  const deployment mended = sorting_deployment();
  live(sorting_topics, mended, [](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("sorter").state, flow_state::running);
    EXPECT_EQ(b.status("sorter").counters.records_missed, 4u);
    EXPECT_EQ(co_await all_of(b, "in.threes"), (values{"9", "9 again:yes"}));
    EXPECT_EQ(co_await all_of(b, "in.rest"), (values{"1", "2", "7"}));
    // Up to the very end, with nothing left to process; and what comes next is.
    const auto start = co_await b.store->advance_log_start(id_of("in", 0), offset(8));
    EXPECT_TRUE(start);
    b.produce("in", {"12"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.threes"), (values{"9", "9 again:yes", "12"}));
    EXPECT_EQ(b.status("sorter").counters.records_missed, 4u);
  });
}

TEST_F(edges_test, all_records_of_the_input_deleted_before_they_were_read) {
  const deployment poisoned = sorting_deployment({{"poison", "1"}});
  live(sorting_topics, poisoned, [](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"1", "2"});
    co_await settled(*b.host, *b.store);
    const auto start = co_await b.store->advance_log_start(id_of("in", 0), offset(2));
    EXPECT_TRUE(start);
  });
  const deployment mended = sorting_deployment();
  live(sorting_topics, mended, [](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("sorter").state, flow_state::running);
    EXPECT_EQ(b.status("sorter").cursor, 2);
    EXPECT_EQ(b.status("sorter").counters.records_missed, 2u);
    b.produce("in", {"3"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.threes"), values{"3"});
  });
}

TEST_F(edges_test, records_of_a_transaction_pause_the_processor_and_nothing_else) {
  const deployment what = sorting_deployment();
  live(sorting_topics, what, [](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"1"});
    protocol::batch_builder builder;
    builder.add(1000, as_bytes("k"), as_bytes("3"));
    protocol::batch_options options;
    options.producer_id = 5;
    options.producer_epoch = 0;
    options.base_sequence = 0;
    options.attributes = protocol::batch_attributes::transactional;
    protocol::batch_rules rules;
    rules.now_ms = 1'700'000'000'000;
    rules.has_transactional_id = true;
    const auto batch = protocol::check_produced_batch(builder.build(options), rules);
    EXPECT_TRUE(batch);
    if (!batch) co_return;
    const auto done = b.store->append(b.log("in"), *batch, storage::append_origin::client);
    EXPECT_TRUE(done);
    b.produce("in", {"9"});
    b.produce("in.rest", {"5"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("sorter").why_paused,
              "its input holds transactional records, which processors do not read");
    EXPECT_EQ(b.status("sorter").cursor, 1);
    EXPECT_EQ(b.status("sorter").lag, 2);
    EXPECT_EQ(co_await all_of(b, "in"), (values{"1", "3", "9"}));
    EXPECT_EQ(co_await all_of(b, "in.rest.marked"), (values{"m1", "m5"}));
  });
}

// A processor without state and one with, on a disk that fills up again and again.
TEST_F(edges_test, a_full_disk_holds_producers_up_and_what_is_derived_stays_exact) {
  const auto sorter_code = code_of<sorter_traits>();
  const auto counter_code = code_of<counter_traits>();
  const deployment what =
      deployment::assemble({spec_for(*sorter_code, "sorter", "in"), spec_for(*counter_code, "c", "in")},
                           {sorter_code, counter_code})
          .value();
  const std::vector<std::string> topics{"in",        "in.threes",          "in.rest",
                                        "in.counts", "c-counts-changelog", "c-meta-changelog"};
  host_.state_directory = "/data/state";
  host_.snapshot_after_bytes = 20'000;
  values input;
  const auto check = [&input](bench& b) -> task<void> {
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in"), input);
    EXPECT_EQ(co_await all_of(b, "in.threes"), expected_of("in.threes", input));
    EXPECT_EQ(co_await all_of(b, "in.rest"), expected_of("in.rest", input));
    std::map<std::string, int64_t> state;
    EXPECT_EQ(co_await all_of(b, "in.counts"), counted(input, state));
    EXPECT_EQ(co_await fold(*b.store, id_of("c-counts-changelog", 0)), as_texts(state));
  };
  live(topics, what, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    for (int round = 0; round < 3; ++round) {
      disk_->set_capacity(disk_->used_bytes());
      bool was_refused = false;
      for (int i = 0; i < 2000 && !was_refused; ++i) {
        values batch;
        for (int k = 0; k < 200; ++k) batch.push_back(std::to_string(input.size() + batch.size()));
        const auto admitted = co_await b.store->admit(5000);
        if (!admitted) {
          was_refused = true;
          break;
        }
        b.produce("in", batch);
        input.insert(input.end(), batch.begin(), batch.end());
        co_await runtime::reactor::current().sleep(std::chrono::milliseconds(1));
      }
      EXPECT_TRUE(was_refused);
      disk_->set_capacity(uint64_t{1} << 50);
      co_await runtime::reactor::current().sleep(std::chrono::milliseconds(500));
      EXPECT_FALSE(b.store->is_disk_full());
      co_await check(b);
    }
  });
  live(topics, what, [&](bench& b) -> task<void> {
    b.host->start();
    co_await check(b);
  });
}

}  // namespace
}  // namespace millrace::processors
